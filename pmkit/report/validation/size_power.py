"""How often each test rejects a right model, and wrong ones, at the number of observations at hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import binom

from pmkit.backtest import HitSeries, var_tests
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import BoolArray

__all__ = ["clustered_hits", "size_and_power"]

#: A hit is followed by a hit with this probability where hits cluster.
_STAY = 0.15


def clustered_hits(random: np.random.Generator, n: int, p: float, stay: float) -> BoolArray:
    """Return hits of a Markov chain with stationary probability ``p``, shape (n,).

    Parameters
    ----------
    random : Generator
    n : int
        Observations.
    p : float
        Share of hits, in (0, 1).
    stay : float
        Probability that a hit follows a hit; ``p`` itself makes them independent.

    Raises
    ------
    ParameterError
        Probabilities outside (0, 1), or too far apart for a chain to have them.

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> int(clustered_hits(stream(1, "example"), 10_000, 0.01, 0.15).sum())
    114
    """
    enter = p * (1.0 - stay) / (1.0 - p) if 0.0 < p < 1.0 else np.nan
    if not 0.0 < enter < 1.0 or not 0.0 < stay < 1.0:
        raise ParameterError(f"p is {p!r}, stay is {stay!r}", "probabilities of a chain", "correct them")
    draws = random.random(n)
    hits = np.zeros(n, dtype=np.bool_)
    before = draws[0] < p
    hits[0] = before
    for day in range(1, n):
        before = draws[day] < (stay if before else enter)
        hits[day] = before
    return hits


def _rejected_share(n: int, p: float, true: float, rejected: Callable[[int], bool]) -> float:
    """Return the probability of a rejecting count among ``n`` independent hits of probability ``true``."""
    top = int(binom.isf(1e-12, n, true)) + 1
    counts = np.array([x for x in range(top + 1) if rejected(x)])
    return float(np.add.reduce(binom.pmf(counts, n, true))) if counts.size else 0.0


def size_and_power(
    n: int, p: float, *, alpha: float = 0.05, series: int = 300, seed: int = 0
) -> pd.DataFrame:
    """Return the probability that a test rejects: a right model, too many hits, hits that cluster.

    Parameters
    ----------
    n : int
        Observations that share no days.
    p : float
        Tail probability of the margin.
    alpha : float
        Level of the decision.
    series : int
        Simulated series for tests of order.
    seed : int

    Returns
    -------
    DataFrame
        One row a test: ``size``, ``power_1.5p``, ``power_2p``, ``power_cluster`` (right number of hits, a hit
        follows a hit with probability 0.15), ``standard_error`` (largest of the row; 0 where exact), ``how``.

    Notes
    -----
    Tests of number are summed over the binomial law. Tests of order run on simulated hits, each with its own
    simulated p-value.

    Examples
    --------
    >>> table = size_and_power(250, 0.01, series=20)
    >>> table.loc["Kupiec proportion of failures, limit law", ["size", "power_2p"]].round(4).tolist()
    [0.0948, 0.2427]
    """
    accepted = var_tests.kupiec_non_rejection(n, p, alpha)
    limits = var_tests.basel_zone_limits(n, p)
    smallest = int(binom.isf(alpha, n, p)) + 1
    counting: dict[str, Callable[[int], bool]] = {
        "Kupiec proportion of failures, limit law": lambda x: x not in accepted,
        "exact binomial, too many hits": lambda x: x >= smallest,
        "Basel: yellow or red": lambda x: x > limits.green,
        "Basel: red": lambda x: x > limits.yellow,
    }
    clustered = [
        clustered_hits(stream(seed, "size_and_power", "cluster", str(at)), n, p, _STAY)
        for at in range(series)
    ]
    counts = np.array([int(hits.sum()) for hits in clustered])
    rows: dict[str, dict[str, object]] = {}
    for name, rejected in counting.items():
        share = float(np.mean([rejected(int(x)) for x in counts]))
        rows[name] = {
            "size": _rejected_share(n, p, p, rejected),
            "power_1.5p": _rejected_share(n, p, 1.5 * p, rejected),
            "power_2p": _rejected_share(n, p, 2.0 * p, rejected),
            "power_cluster": share,
            "standard_error": float(np.sqrt(share * (1.0 - share) / series)),
            "how": "exact; clusters simulated",
        }
    scenarios = {
        "size": _independent(n, p, series, seed, "right"),
        "power_1.5p": _independent(n, 1.5 * p, series, seed, "half more"),
        "power_2p": _independent(n, 2.0 * p, series, seed, "twice"),
        "power_cluster": clustered,
    }
    for name, test in (
        ("Christoffersen independence", var_tests.christoffersen_independence),
        ("Christoffersen conditional coverage", var_tests.christoffersen),
    ):
        row: dict[str, object] = {}
        for column, hit_series in scenarios.items():
            row[column] = float(np.mean([_rejects(test, hits, p, alpha, seed) for hits in hit_series]))
        largest = max((float(share) for share in row.values()), key=lambda s: s * (1.0 - s))  # type: ignore[arg-type]
        rows[name] = {
            **row,
            "standard_error": float(np.sqrt(largest * (1.0 - largest) / series)),
            "how": f"{series} simulated series",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("test")


def _independent(n: int, p: float, series: int, seed: int, purpose: str) -> list[BoolArray]:
    random = stream(seed, "size_and_power", purpose)
    return [random.random(n) < p for _ in range(series)]


def _rejects(test: Callable[..., object], hits: BoolArray, p: float, alpha: float, seed: int) -> bool:
    outcome = test(hits=HitSeries(hits=hits, p=p), alpha=alpha, draws=999, seed=seed)
    return getattr(outcome, "decision_exact", "not_evaluable") == "rejected"
