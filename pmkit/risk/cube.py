"""The P&L cube: profit of one contract of each instrument in every scenario, and of accounts made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.core.types import FloatArray, IntArray
from pmkit.instruments import Instrument, Portfolio, Spot
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import combine
from pmkit.risk.collateral import STABLECOINS, CollateralAccount, CurrencyMoves
from pmkit.risk.inputs import check_held
from pmkit.scenarios.scenario_set import ScenarioSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["STABLECOINS", "PnLCube"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class PnLCube(Result):
    """Unit profits, scenarios × instruments, from which every account and every rule is computed.

    Attributes
    ----------
    instruments : tuple of Instrument
    unit_usd : ndarray, shape (instruments, scenarios)
        Profit of one contract in USD at the scenario's own spot, gain positive.
    unit_coin : ndarray, shape (instruments, scenarios)
        Profit of one contract in its settlement coin; 0 for contracts that are not coin-settled.
    base_usd, base_coin : ndarray, shape (instruments,)
        Present value of one contract in USD, and in coin where it is coin-settled (0 otherwise); 0 for
        futures and perpetuals, whose value is settled in cash.
    spot0 : mapping of str to float
        Index before the scenarios, by underlying of the snapshot.
    spot1 : mapping of str to ndarray
        Index in each scenario.
    moved : frozenset of str
        Underlyings of which the scenarios hold a factor.
    scenarios : ScenarioSet
    settled : tuple of str
        Contracts that settle inside the horizon.
    fx0 : mapping of str to float
        USD price before the scenarios of currencies that are no coins, where it is given or moves.
    fx1 : mapping of str to ndarray
        USD price in each scenario of those that move; a stablecoin that is not here stays where it is.
    unheld_factors : tuple of str
        Factors of the scenarios that move nothing, the snapshot having no such underlying or currency.
    snapshot : MarketSnapshot or None
        Market before the scenarios; needed for the balances of an account.

    Raises
    ------
    ParameterError
        A profit that is not finite, with its contract and scenario.
    """

    instruments: tuple[Instrument, ...]
    unit_usd: FloatArray
    unit_coin: FloatArray
    base_usd: FloatArray
    base_coin: FloatArray
    spot0: Mapping[str, float]
    spot1: Mapping[str, FloatArray]
    moved: frozenset[str]
    scenarios: ScenarioSet
    settled: tuple[str, ...] = ()
    fx0: Mapping[str, float] = field(default_factory=dict)
    fx1: Mapping[str, FloatArray] = field(default_factory=dict)
    unheld_factors: tuple[str, ...] = ()
    snapshot: MarketSnapshot | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance(method="risk.revalue"))
    references: tuple[str, ...] = ("black1976",)
    _rows: dict[str, int] = field(init=False, repr=False)
    money: CurrencyMoves = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {i.name: row for row, i in enumerate(self.instruments)})
        for unit in (self.unit_usd, self.unit_coin):
            self._check_finite(unit)
        arrays = (self.unit_usd, self.unit_coin, self.base_usd, self.base_coin)
        for array in (*arrays, *self.spot1.values(), *self.fx1.values()):
            array.setflags(write=False)
        money = CurrencyMoves(
            spot0=self.spot0,
            spot1=self.spot1,
            moved=self.moved,
            fx0=self.fx0,
            fx1=self.fx1,
            source=self.scenarios.name,
        )
        object.__setattr__(self, "money", money)

    def _check_finite(self, unit: FloatArray) -> None:
        """Raise where a profit is NaN or infinite; a sum shows it without a second table of the same size."""
        for row in np.flatnonzero(~np.isfinite(np.add.reduce(unit, axis=1))):
            bad = np.flatnonzero(~np.isfinite(unit[row]))
            if bad.size:
                raise ParameterError(
                    f"profit of {self.instruments[row].name} in scenario {bad[0]} "
                    f"({self.scenarios.label(int(bad[0]))}) is {unit[row, bad[0]]}",
                    "finite numbers",
                    "look for a move that no price or vol can make, and take it out",
                )

    def __len__(self) -> int:
        return len(self.scenarios)

    # -- accounts -------------------------------------------------------------------------------------------
    def account_pnl(
        self,
        held: Portfolio | CollateralAccount,
        *,
        balances: Mapping[str, float] | None = None,
        numeraire: str = "USD",
    ) -> FloatArray:
        """Return the profit of positions and balances in every scenario, in the numeraire, gain positive.

        Parameters
        ----------
        held : Portfolio or Account
            Positions in instruments of the cube. An account brings its balances along: its collateral and
            the unrealised profit of its futures and perpetuals.
        balances : mapping of str to float, optional
            Collateral in units of each currency, with a portfolio alone: coins move with spot, other
            currencies with their fx; USD, USDC and USDT stay where they are unless an fx factor moves them.
        numeraire : str
            ``"USD"``, a coin of the snapshot, or a currency with an fx.

        Returns
        -------
        ndarray, shape (scenarios,)

        Raises
        ------
        DataGapError
            A position is not in the cube, the scenarios do not move the coin of a balance, or the cube
            holds no snapshot and an account is given.
        ConventionError
            A currency without a price in the snapshot, balances besides an account, or neither a portfolio
            nor an account.
        ParameterError
            A balance that is not finite.

        Notes
        -----
        In USD the profit is ``sum(qty * unit_usd) + sum(balance * (X' - X))`` with X the USD price of each
        currency. In a currency N it is ``(E + profit in USD)/X_N' - E/X_N`` with E the USD value of balances,
        options and coins before the scenarios: the change of the account's worth counted in N. For an account
        of contracts settled in N and a balance in N this is ``sum(qty * unit_coin)``, and it is computed so.
        """
        portfolio, balances = self._held(held, balances)
        rows, signed = self._positions(portfolio)
        quantity = np.zeros(len(self.instruments))
        quantity[rows] = signed
        cash = self.money.cash(balances)
        if self.money.is_dollar(numeraire):
            return self.money.add_collateral(combine(self.unit_usd, quantity), cash)
        self.money.check(numeraire, "numeraire")
        own_coin = all(
            self.instruments[r].is_inverse and self.instruments[r].underlying == numeraire for r in rows
        )
        if own_coin and set(cash) <= {numeraire}:
            return combine(self.unit_coin, quantity)
        worth = math.fsum(
            [
                *self.money.worth(cash),
                *(float(q) * float(self.base_usd[r]) for r, q in zip(rows, signed, strict=True)),
            ]
        )
        pnl = self.money.add_collateral(combine(self.unit_usd, quantity), cash)
        return self.money.in_numeraire(pnl, worth, numeraire)

    def collateral_pnl(self, balances: Mapping[str, float], *, numeraire: str = "USD") -> FloatArray:
        """Return what balances alone gain in every scenario, in the numeraire, shape (scenarios,).

        Parameters
        ----------
        balances : mapping of str to float
            Units of each currency, negative for a debt.
        numeraire : str
            As in :meth:`account_pnl`.

        Raises
        ------
        DataGapError, ConventionError, ParameterError
            As :meth:`account_pnl`.
        """
        cash = self.money.cash(balances)
        if not self.money.is_dollar(numeraire):
            self.money.check(numeraire, "numeraire")
        pnl = self.money.add_collateral(np.zeros(len(self)), cash)
        return self.money.in_numeraire(pnl, math.fsum(self.money.worth(cash)), numeraire)

    def line_pnl(self, portfolio: Portfolio, *, numeraire: str = "USD") -> FloatArray:
        """Return the profit of each position alone, shape (positions, scenarios), in the numeraire.

        Notes
        -----
        In a coin each line is an account of its own without balances, as in :meth:`account_pnl`.
        """
        rows, held = self._positions(portfolio)
        if self.money.is_dollar(numeraire):
            return self.unit_usd[rows] * held[:, None]
        self.money.check(numeraire, "numeraire")
        lines = np.empty((len(rows), len(self)))
        for at, (row, qty) in enumerate(zip(rows, held, strict=True)):
            instrument = self.instruments[row]
            if instrument.is_inverse and instrument.underlying == numeraire:
                lines[at] = qty * self.unit_coin[row]
            else:
                worth = float(qty) * float(self.base_usd[row])
                lines[at] = self.money.in_numeraire(qty * self.unit_usd[row], worth, numeraire)
        return lines

    def _held(
        self, held: Portfolio | CollateralAccount, balances: Mapping[str, float] | None
    ) -> tuple[Portfolio, Mapping[str, float] | None]:
        """Return positions and balances; those of an account come from the account."""
        check_held(held)
        if isinstance(held, Portfolio):
            return held, balances
        if balances is not None:
            raise ConventionError(
                "an account and balances besides",
                "an account with its own collateral, or a portfolio and balances",
                "pass account.portfolio, or leave balances out",
            )
        if self.snapshot is None:
            raise DataGapError(
                "the cube holds no snapshot to mark the futures of an account",
                "a cube with its snapshot, as revalue returns it",
                "pass account.portfolio and balances=account.balances(snapshot)",
            )
        return held.portfolio, held.balances(self.snapshot)

    def _positions(self, portfolio: Portfolio) -> tuple[IntArray, FloatArray]:
        """Return the rows and quantities of the positions."""
        for position in portfolio:
            name = position.instrument.name
            if name not in self._rows or self.instruments[self._rows[name]] != position.instrument:
                raise DataGapError(
                    f"{name} was not revalued",
                    f"one of the cube's {len(self.instruments)} instruments",
                    "revalue a book that holds it",
                )
        rows = np.array([self._rows[p.instrument.name] for p in portfolio], dtype=np.int64)
        return rows, portfolio.quantities

    # -- display --------------------------------------------------------------------------------------------
    def check(self) -> None:
        """Raise where ``unit_usd = unit_coin S' + base_coin (S' - S)`` fails for a coin-settled contract."""
        for row, instrument in enumerate(self.instruments):
            if not instrument.is_inverse or isinstance(instrument, Spot):
                continue
            after, before = self.spot1[instrument.underlying], self.spot0[instrument.underlying]
            rebuilt = self.unit_coin[row] * after + self.base_coin[row] * (after - before)
            scale = max(1.0, float(np.abs(self.unit_usd[row]).max()), abs(self.base_usd[row]))
            worst = float(np.abs(rebuilt - self.unit_usd[row]).max())
            if worst > 1e-10 * scale:
                raise PmkitError(
                    f"USD and coin profit of {instrument.name} differ by {worst:g}",
                    "agreement",
                    "report this as a bug",
                )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the range of unit profit of every instrument, worst to best scenario, in USD."""
        axes = new_axes(ax)
        names = [i.name for i in self.instruments]
        worst, best = self.unit_usd.min(axis=1), self.unit_usd.max(axis=1)
        axes.barh(names, best - worst, left=worst)
        axes.axvline(0.0, color="black", linewidth=0.8)
        axes.invert_yaxis()
        axes.set(xlabel="profit of one contract, USD", title=f"{self.scenarios.name}: worst to best scenario")
        return axes

    def summary(self) -> pd.DataFrame:
        """Return one row an instrument: present value, and mean, worst and best unit profit in USD.

        Factors of names that the snapshot does not hold stand in the heading.
        """
        frame = pd.DataFrame(
            {
                "value_usd": self.base_usd,
                "mean_pnl": [float(np.add.reduce(row * self.scenarios.weights)) for row in self.unit_usd],
                "worst_pnl": self.unit_usd.min(axis=1),
                "best_pnl": self.unit_usd.max(axis=1),
                "settles": [i.name in self.settled for i in self.instruments],
            },
            index=pd.Index([i.name for i in self.instruments], name="instrument"),
        )
        if self.unheld_factors:
            frame.index.name = f"instrument ({', '.join(self.unheld_factors)} move nothing here)"
        return frame.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return unit profits in USD, one row a scenario and one column an instrument."""
        return pd.DataFrame(
            self.unit_usd.T,
            index=pd.RangeIndex(len(self), name="scenario"),
            columns=pd.Index([i.name for i in self.instruments], name="instrument"),
        )
