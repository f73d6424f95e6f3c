"""The lines of an account and their P&L: positions and coin balances, alone or gathered into groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.instruments import Future, Option, Portfolio
from pmkit.risk.collateral import CollateralAccount
from pmkit.risk.cube import PnLCube
from pmkit.scenarios.inputs import check_kind

__all__ = ["GROUPINGS", "AccountLines", "Grouping", "account_lines"]

#: Ready-made groupings of the lines of an account.
GROUPINGS = ("line", "underlying", "expiry", "kind", "settlement")

Grouping = Literal["line", "underlying", "expiry", "kind", "settlement"] | Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class AccountLines:
    """P&L of the lines of an account; the lines add up to the account.

    Attributes
    ----------
    names : tuple of str
        Instruments, then ``collateral <currency>``; names of groups after :meth:`grouped`.
    pnl : ndarray, shape (lines, scenarios)
        Gain positive, in the numeraire.
    total : ndarray, shape (scenarios,)
        P&L of the account.
    quantity : ndarray, shape (lines,)
        Contracts or units of currency; NaN for groups.
    tags : mapping of str to tuple of str
        By grouping, the group of each line.
    """

    names: tuple[str, ...]
    pnl: FloatArray
    total: FloatArray
    quantity: FloatArray
    tags: Mapping[str, tuple[str, ...]]

    def grouped(self, by: Grouping = "line") -> AccountLines:
        """Return the lines gathered by a ready-made grouping, or by a mapping from line to group.

        Parameters
        ----------
        by : {"line", "underlying", "expiry", "kind", "settlement"} or mapping of str to str
            A mapping names the group (desk, risk class) of every line.

        Raises
        ------
        ParameterError
            Unknown grouping, or a mapping without one of the lines.
        """
        if isinstance(by, str):
            if by not in self.tags:
                raise ParameterError(
                    f"by is {by!r}", f"one of {', '.join(GROUPINGS)}, or a mapping", "correct the name"
                )
            if by == "line":
                return self
            group = self.tags[by]
        else:
            missing = [name for name in self.names if name not in by]
            if missing:
                raise ParameterError(
                    f"the mapping has no group for {missing[0]!r} ({len(missing)} such)",
                    "a group for every line",
                    "add it",
                )
            group = tuple(str(by[name]) for name in self.names)
        names = tuple(dict.fromkeys(group))
        pnl = np.zeros((len(names), self.pnl.shape[1]))
        for row, name in zip(self.pnl, group, strict=True):
            pnl[names.index(name)] += row
        return AccountLines(
            names=names,
            pnl=pnl,
            total=self.total,
            quantity=np.full(len(names), np.nan),
            tags={"line": names},
        )


def account_lines(
    cube: PnLCube,
    held: Portfolio | CollateralAccount,
    *,
    balances: Mapping[str, float] | None = None,
    numeraire: str = "USD",
) -> AccountLines:
    """Return the P&L of each position and of each balance that can gain or lose, in the numeraire.

    Parameters
    ----------
    cube : PnLCube
    held : Portfolio or Account
        Positions in instruments of the cube; an account brings its balances along.
    balances : mapping of str to float, optional
        Collateral in units of each currency, with a portfolio alone.
    numeraire : str
        ``"USD"`` or a coin of the snapshot.

    Returns
    -------
    AccountLines

    Raises
    ------
    DataGapError, ConventionError
        As :meth:`PnLCube.account_pnl`.

    Notes
    -----
    A balance that neither gains nor loses in any scenario, as dollars in dollars, is no line.

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot
    >>> from pmkit.risk import revalue
    >>> from pmkit.scenarios import grid
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -100, "as_of": "2026-08-01"}
    >>> book = Portfolio.from_records([row])
    >>> cube = revalue(book, snap, grid([-0.1, 0.1], dynamics="sticky_strike", underlyings=["BTC"]))
    >>> account_lines(cube, book, balances={"BTC": 0.02}).pnl.round(6).tolist()
    [[100.0, -100.0], [-100.0, 100.0]]
    """
    check_kind("cube", cube, PnLCube, "pmkit.risk.revalue")
    total = cube.account_pnl(held, balances=balances, numeraire=numeraire)
    if isinstance(held, Portfolio):
        portfolio = held
    else:
        portfolio = held.portfolio
        assert cube.snapshot is not None
        balances = held.balances(cube.snapshot)
    lines = list(cube.line_pnl(portfolio, numeraire=numeraire))
    instruments = portfolio.instruments
    names = [i.name for i in instruments]
    tags: dict[str, list[str]] = {
        "underlying": [i.underlying for i in instruments],
        "expiry": [
            f"{i.expiry:%Y-%m-%d}" if isinstance(i, (Future, Option)) else "none" for i in instruments
        ],
        "kind": [i.kind for i in instruments],
        "settlement": [i.settlement for i in instruments],
    }
    quantity = list(portfolio.quantities)
    for currency, amount in (balances or {}).items():
        gain = cube.collateral_pnl({currency: amount}, numeraire=numeraire)
        if not gain.any():
            continue
        lines.append(gain)
        names.append(f"collateral {currency}")
        for key, tag in zip(tags, (currency, "none", "collateral", "collateral"), strict=True):
            tags[key].append(tag)
        quantity.append(float(amount))
    if not lines:
        raise ParameterError(
            "the account has neither positions nor a balance that can lose", "at least one", "add a position"
        )
    return AccountLines(
        names=tuple(names),
        pnl=np.array(lines),
        total=total,
        quantity=np.array(quantity, dtype=np.float64),
        tags={"line": tuple(names)} | {key: tuple(tag) for key, tag in tags.items()},
    )
