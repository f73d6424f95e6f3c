"""The what-if explorer: one account, several rules, and the market moved under it as fast as a slider."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, SchemaError
from pmkit.core.provenance import Provenance
from pmkit.core.types import Dynamics
from pmkit.instruments import Position, parse_instrument
from pmkit.liquidation import moved_snapshot
from pmkit.liquidation.path import entered_at
from pmkit.margin.accounts.account import Account
from pmkit.margin.parameters import Stale
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import AnyRule
from pmkit.margin.rule import rule as make_rule
from pmkit.margin.study.what_if import WhatIf, traded
from pmkit.market import MarketSnapshot
from pmkit.report.explorer.view import ExplorerView
from pmkit.risk import revalue
from pmkit.scenarios import grid

__all__ = ["MarginExplorer"]

#: rules that take coin-settled contracts and answer while a slider moves
_RULES = ("deribit-pm", "deribit-standard", "okx-pm")
#: bounds of the moves: an entry price may stand a factor of ten from the mark, and no vol above 500 %
_LOWEST, _HIGHEST = -0.9, 3.0


def _checked_range(what: str, given: tuple[float, float]) -> tuple[float, float]:
    low, high = float(given[0]), float(given[1])
    if not _LOWEST < low < 0.0 < high <= _HIGHEST:
        raise ParameterError(
            f"{what} is {given!r}",
            f"a decimal above {_LOWEST:g} and below 0, and one above 0 up to {_HIGHEST:g}",
            "give moves as decimals, such as (-0.5, 0.5)",
        )
    return low, high


class MarginExplorer:
    """Requirement and P&L of an account where spot and vol are moved and legs are added.

    What stays is computed once: the P&L surface for a set of legs, and the requirement today. A move costs
    one moved market and one requirement.

    Parameters
    ----------
    account : Account
    snapshot : MarketSnapshot
        Today's market.
    rules : sequence of str or rule
        Rules to choose from; names take the parameters in force on the snapshot's date.
    spot_range, vol_range : tuple of float
        Lowest and highest relative move, decimal, from above −0.9 up to 3; all underlyings move alike.
    points : tuple of int
        Spot moves and vol moves of the P&L surface, 3 or more each.
    dynamics : {"sticky_strike", "sticky_moneyness"}, optional
        What a spot move does to the smile; ``sticky_moneyness`` where every underlying has a surface.
    stale : {"error", "warn"}
        For rules given by name: what happens past the last observation of their parameters.

    Raises
    ------
    ParameterError
        A range or a number of points outside its bounds, no rule, or one rule twice.
    PmkitError
        Whatever the account's check against the snapshot raises.

    Notes
    -----
    Legs are bought at today's marks, so they leave equity as it is; then the market moves. Every equity,
    margin and P&L is a full revaluation (:func:`pmkit.liquidation.moved_snapshot`,
    :func:`pmkit.risk.revalue`).

    Examples
    --------
    >>> snap = MarketSnapshot.from_marks("2024-06-17T00:00:00Z", {"BTC": 60_000.0})
    >>> rows = [{"type": "position", "instrument": "BTC-PERPETUAL", "qty": -600, "as_of": "2024-06-17"},
    ...         {"type": "collateral", "instrument": "BTC", "qty": 0.05, "as_of": "2024-06-17"}]
    >>> explorer = MarginExplorer(Account.from_records(rows), snap, rules=["deribit-pm"])
    >>> round(explorer.at(spot=0.1).pnl, 6)  # 6,000 USD short in coin, 0.05 BTC of collateral
    -300.0
    """

    def __init__(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        *,
        rules: Sequence[str | AnyRule] = _RULES,
        spot_range: tuple[float, float] = (-0.5, 0.5),
        vol_range: tuple[float, float] = (-0.5, 1.0),
        points: tuple[int, int] = (41, 31),
        dynamics: Dynamics | None = None,
        stale: Stale = "error",
    ) -> None:
        if min(points) < 3:
            raise ParameterError(f"points are {points!r}", "at least 3 moves each way", "ask for more points")
        account.check_against(snapshot)
        self.account = entered_at(account, snapshot)
        self.snapshot = snapshot
        self.spot_range = _checked_range("spot_range", spot_range)
        self.vol_range = _checked_range("vol_range", vol_range)
        fitted = all(seen.surface is not None for seen in snapshot.underlyings.values())
        self.dynamics: Dynamics = dynamics or ("sticky_moneyness" if fitted else "sticky_strike")
        self._rules = _named([make_rule(r, stale=stale) if isinstance(r, str) else r for r in rules])
        self._grid = grid(
            np.linspace(*self.spot_range, points[0]).tolist(),
            np.linspace(*self.vol_range, points[1]).tolist(),
            dynamics=self.dynamics,
            underlyings=list(snapshot.underlyings),
            name="explorer",
        )
        self._before: dict[str, MarginResult] = {}
        self._traded: tuple[tuple[Position, ...], Account, MarketSnapshot, pd.DataFrame] | None = None
        self._axes = (points[1], points[0])

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules to choose from."""
        return tuple(self._rules)

    @property
    def tradable(self) -> tuple[str, ...]:
        """Names of the contracts that a leg may be in: what the snapshot lists, or else what has a price."""
        names = set(self.snapshot.listed)
        if not names:
            markets = self.snapshot.underlyings
            names = {name for seen in markets.values() for name in seen.option_iv}
            names |= {f"{name}-PERPETUAL" for name in markets}
        names |= {i.name for i in self.account.instruments}
        return tuple(sorted(names))

    def leg(self, name: str, qty: float) -> Position:
        """Return a leg: ``qty`` contracts, long positive, of a contract in :attr:`tradable`.

        Parameters
        ----------
        name : str
        qty : float
            Not 0.

        Returns
        -------
        Position

        Raises
        ------
        SchemaError
            The contract is not known to the snapshot.
        ParameterError
            The quantity is 0 or not finite.
        """
        if not math.isfinite(qty) or qty == 0.0:
            raise ParameterError(
                f"{qty!r} contracts of {name}", "a number other than 0", "negative to sell, positive to buy"
            )
        if name not in self.tradable:
            raise SchemaError(
                f"unknown contract {name!r}",
                f"one of the {len(self.tradable)} that the snapshot {self.snapshot.source} lists",
                "correct the name",
            )
        held = {i.name: i for i in self.account.instruments}
        instrument = held[name] if name in held else parse_instrument(name, self.snapshot.as_of)
        self.snapshot.mark(instrument)
        return Position(instrument=instrument, qty=qty)

    def at(
        self, rule: str | None = None, *, spot: float = 0.0, vol: float = 0.0, legs: Iterable[Position] = ()
    ) -> ExplorerView:
        """Return margin, equity in the rule's numeraire and P&L in USD, legs added and the market moved.

        Parameters
        ----------
        rule : str, optional
            One of :attr:`rules`; the first by default.
        spot, vol : float
            Relative moves within the explorer's ranges, decimal.
        legs : iterable of Position
            As :meth:`leg` makes them.

        Returns
        -------
        ExplorerView

        Raises
        ------
        ParameterError
            A move outside its range.
        DataGapError
            No such rule.
        PmkitError
            Whatever the rule raises.
        """
        name = self.rules[0] if rule is None else rule
        if name not in self._rules:
            raise DataGapError(
                f"no rule {name!r} in the explorer",
                f"one of {', '.join(self.rules)}",
                "name it when the explorer is made",
            )
        for what, move, (low, high) in (("spot", spot, self.spot_range), ("vol", vol, self.vol_range)):
            if not low <= move <= high:
                raise ParameterError(
                    f"{what} moves by {move!r}",
                    f"a decimal from {low:g} to {high:g}",
                    "choose a smaller move",
                )
        bought = tuple(legs)
        account, market, surface = self._with_legs(bought)
        moved = moved_snapshot(market, dynamics=self.dynamics, spot=spot, vol=vol)
        used = self._rules[name]
        if name not in self._before:
            self._before[name] = used.requirement(self.account, market)
        after = used.requirement(account, moved)
        return ExplorerView(
            rule=name,
            spot=spot,
            vol=vol,
            legs=bought,
            margin=WhatIf(before=self._before[name], after=after),
            pnl=account.equity(moved) - account.equity(market),
            surface=surface,
            account=account,
            market=market,
            dynamics=self.dynamics,
            provenance=Provenance(
                method="report.explorer",
                data={"snapshot": self.snapshot.fingerprint, "margin": after.provenance.id},
                parameters={"spot": spot, "vol": vol, "dynamics": self.dynamics},
                simulated=self.snapshot.provenance.simulated,
            ),
        )

    def _with_legs(self, legs: tuple[Position, ...]) -> tuple[Account, MarketSnapshot, pd.DataFrame]:
        """Return the account with legs, today's market of what it holds, and its P&L surface."""
        if self._traded is None or self._traded[0] != legs:
            account = self.account
            if legs:
                after = traded(account, legs, self.snapshot)
                account = replace(entered_at(after, self.snapshot), name=account.name)
            market = self._of_contracts({i.name for i in (*account.instruments, *self.account.instruments)})
            cube = revalue(account.portfolio, market, self._grid)
            cells = cube.account_pnl(account).reshape(self._axes[::-1]).T
            surface = pd.DataFrame(
                cells,
                index=pd.Index(np.linspace(*self.vol_range, self._axes[0]), name="vol"),
                columns=pd.Index(np.linspace(*self.spot_range, self._axes[1]), name="spot"),
            )
            self._traded = (legs, account, market, surface)
        return self._traded[1:]

    def _of_contracts(self, names: set[str]) -> MarketSnapshot:
        """Return the snapshot with the own vols of some contracts alone, so that a move costs little."""
        markets = {
            name: replace(seen, option_iv={n: iv for n, iv in seen.option_iv.items() if n in names})
            for name, seen in self.snapshot.underlyings.items()
        }
        return replace(self.snapshot, underlyings=markets)


def _named(rules: Sequence[AnyRule]) -> dict[str, AnyRule]:
    """Return rules by name, with the variant where two are of one name."""
    names = [r.name for r in rules]
    titles = [r.name if names.count(r.name) == 1 else f"{r.name} {r.variant}" for r in rules]
    if not rules or len(set(titles)) < len(titles):
        raise ParameterError(
            f"rules are {titles}", "at least one, each once", "leave the second one out, or name another"
        )
    return dict(zip(titles, rules, strict=True))
