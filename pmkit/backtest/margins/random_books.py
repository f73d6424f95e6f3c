"""Random books that offset: where a margin fails, it fails on portfolios whose risks nearly cancel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from pmkit.backtest.series.checks import check_count
from pmkit.backtest.walk.book import ConstantBook
from pmkit.backtest.walk.legs import Leg, option_leg
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import Settlement

__all__ = ["BookKind", "random_books"]

BookKind = Literal["long_short", "delta_hedged", "calendar", "fly", "dispersion"]
"""What offsets what: underlyings, delta, tenors, strikes, or the vols of one underlying and of the others."""

_TENORS = (7.0, 14.0, 30.0, 60.0, 90.0, 180.0)  # days


def _sign(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def _moneyness(rng: np.random.Generator) -> float:
    """Return a strike over the forward from 0.8 to 1.25, even in its logarithm."""
    return float(0.8 * (1.25 / 0.8) ** rng.random())


def _long_short(rng: np.random.Generator, names: Sequence[str]) -> list[Leg]:
    weights = rng.standard_normal(len(names))
    if len(names) > 1 and (np.sign(weights) == np.sign(weights[0])).all():
        weights[int(rng.integers(len(names)))] *= -1.0  # something must offset
    return [Leg(underlying=n, kind="perpetual", weight=float(w)) for n, w in zip(names, weights, strict=True)]


def _delta_hedged(rng: np.random.Generator, names: Sequence[str]) -> list[Leg]:
    return [
        option_leg(
            str(rng.choice(names)),
            float(rng.standard_normal()),
            bool(rng.random() < 0.5),
            float(rng.choice(_TENORS)),
            _moneyness(rng),
        )
        for _ in range(int(rng.integers(1, 5)))
    ]


def _calendar(rng: np.random.Generator, names: Sequence[str]) -> list[Leg]:
    near, far = np.sort(rng.choice(len(_TENORS), size=2, replace=False))
    name, sign, call = str(rng.choice(names)), _sign(rng), bool(rng.random() < 0.5)
    strike = _moneyness(rng)
    return [option_leg(name, s * sign, call, _TENORS[at], strike) for at, s in ((near, -1.0), (far, 1.0))]


def _fly(rng: np.random.Generator, names: Sequence[str]) -> list[Leg]:
    name, sign, call = str(rng.choice(names)), _sign(rng), bool(rng.random() < 0.5)
    tenor, middle = float(rng.choice(_TENORS)), _moneyness(rng)
    wing = 0.05 + 0.15 * rng.random()
    return [
        option_leg(name, sign * weight, call, tenor, middle * (1.0 + wing * side))
        for weight, side in ((1.0, -1.0), (-2.0, 0.0), (1.0, 1.0))
    ]


def _dispersion(rng: np.random.Generator, names: Sequence[str]) -> list[Leg]:
    tenor, sign = float(rng.choice(_TENORS)), _sign(rng)
    against = rng.dirichlet(np.ones(len(names) - 1))
    first = int(rng.integers(len(names)))
    others = [name for at, name in enumerate(names) if at != first]
    weights = [(names[first], -sign), *((n, sign * float(w)) for n, w in zip(others, against, strict=True))]
    return [option_leg(name, weight, call, tenor, 1.0) for name, weight in weights for call in (True, False)]


_MAKERS: dict[str, Callable[[np.random.Generator, Sequence[str]], list[Leg]]] = {
    "long_short": _long_short,
    "delta_hedged": _delta_hedged,
    "calendar": _calendar,
    "fly": _fly,
    "dispersion": _dispersion,
}


def random_books(
    underlyings: Sequence[str],
    *,
    count: int = 20,
    kinds: Sequence[BookKind] = get_args(BookKind),
    settlement: Settlement = "linear",
    seed: int = 0,
) -> tuple[ConstantBook, ...]:
    """Return random constant books of the kinds asked for, each with gross weights of 1.

    Use them as the accounts of a walk-forward: a margin that covers each coin alone may fail on offsets.

    Parameters
    ----------
    underlyings : sequence of str
        Columns of the price history; two or more for ``"dispersion"``.
    count : int
        Books, 1 or more; the kinds take turns.
    kinds : sequence of str
        ``"long_short"`` perpetuals of random weights, not all of one side; ``"delta_hedged"`` one to four
        options whose delta perpetuals offset at each close; ``"calendar"`` two tenors of one strike;
        ``"fly"`` three strikes of one tenor; ``"dispersion"`` straddles of one underlying against those of
        the others. The last four are hedged in delta.
    settlement : {"linear", "inverse"}
        Of all legs.
    seed : int
        Root seed. Book i of a seed is the same whatever ``count`` is.

    Returns
    -------
    tuple of ConstantBook
        Named by kind and number.

    Raises
    ------
    ParameterError
        No underlying, or one twice; an unknown kind, or none; a count below 1; dispersion of one underlying.

    Notes
    -----
    Tenors are 7, 14, 30, 60, 90 or 180 days, strikes lie between 0.8 and 1.25 of the forward (wings of a fly
    up to 20 % beyond), weights are normal before they are scaled. Nothing is fitted to any market.

    Examples
    --------
    >>> books = random_books(["BTC", "ETH"], count=5, seed=3)
    >>> [book.name for book in books]
    ['long_short 0', 'delta_hedged 1', 'calendar 2', 'fly 3', 'dispersion 4']
    """
    names = [underlyings] if isinstance(underlyings, str) else [str(name) for name in underlyings]
    if not names or len(set(names)) < len(names):
        raise ParameterError(
            f"underlyings are {names!r}", "one or more, each once", "name columns of the price history"
        )
    chosen: list[Any] = [kinds] if isinstance(kinds, str) else list(kinds)
    unknown = [kind for kind in chosen if kind not in _MAKERS]
    if unknown or not chosen:
        raise ParameterError(
            f"kinds hold {unknown[0]!r}" if unknown else "kinds are empty",
            f"some of {', '.join(_MAKERS)}",
            "choose one or more of them",
        )
    if "dispersion" in chosen and len(names) < 2:
        raise ParameterError(
            f"a dispersion book of {names[0]} alone",
            "two underlyings or more",
            "add one, or leave the kind out",
        )
    number, root = check_count(count, "count"), check_count(seed, "seed", largest=2**64 - 1)
    if number == 0:
        raise ParameterError("count is 0", "1 or more", "ask for a book")
    books = []
    for at in range(number):
        kind = chosen[at % len(chosen)]
        legs = _MAKERS[kind](stream(root, "random_books", kind, at), names)
        gross = sum(abs(leg.weight) for leg in legs)
        scaled = tuple(replace(leg, weight=leg.weight / gross, settlement=settlement) for leg in legs)
        books.append(ConstantBook(name=f"{kind} {at}", legs=scaled, delta_hedged=kind != "long_short"))
    return tuple(books)
