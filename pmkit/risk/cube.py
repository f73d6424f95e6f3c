"""The P&L cube: profit of one contract of each instrument in every scenario, and of accounts made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.core.types import FloatArray, IntArray
from pmkit.instruments import Instrument, Portfolio, Spot
from pmkit.pricing import combine
from pmkit.scenarios.scenario_set import ScenarioSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["STABLECOINS", "PnLCube"]

#: Currencies that stay at one USD in every scenario; a depeg is not modelled.
STABLECOINS = ("USD", "USDC", "USDT")


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
    provenance: Provenance = field(default_factory=lambda: Provenance(method="risk.revalue"))
    references: tuple[str, ...] = ("black1976",)
    _rows: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {i.name: row for row, i in enumerate(self.instruments)})
        for array in (self.unit_usd, self.unit_coin, self.base_usd, self.base_coin, *self.spot1.values()):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.scenarios)

    # -- accounts -------------------------------------------------------------------------------------------
    def account_pnl(
        self,
        portfolio: Portfolio,
        *,
        balances: Mapping[str, float] | None = None,
        numeraire: str = "USD",
    ) -> FloatArray:
        """Return the profit of positions and balances in every scenario, in the numeraire, gain positive.

        Parameters
        ----------
        portfolio : Portfolio
            Positions in instruments of the cube.
        balances : mapping of str to float, optional
            Collateral in units of each currency: USD, USDC and USDT stay at one USD, coins move with spot.
        numeraire : str
            ``"USD"`` or a coin of the snapshot.

        Returns
        -------
        ndarray, shape (scenarios,)

        Raises
        ------
        DataGapError
            A position is not in the cube, or the scenarios do not move the coin of a balance.
        ConventionError
            A currency without a price in the snapshot.

        Notes
        -----
        In USD the profit is ``sum(qty * unit_usd) + sum(balance * (S' - S))``. In a coin N it is
        ``(E + profit in USD)/S_N' - E/S_N`` with E the USD value of balances, options and coins before the
        scenarios: the change of the account's worth counted in coins. For an account of contracts settled in
        N and a balance in N this is ``sum(qty * unit_coin)``, and it is computed so.
        """
        rows, held = self._positions(portfolio)
        quantity = np.zeros(len(self.instruments))
        quantity[rows] = held
        cash = {c: float(a) for c, a in (balances or {}).items() if a != 0.0}
        for currency in cash:
            self._check_currency(currency, balance=True)
        if numeraire in STABLECOINS:
            return self._usd_pnl(quantity, cash)
        self._check_currency(numeraire, balance=False)
        own_coin = all(
            self.instruments[r].is_inverse and self.instruments[r].underlying == numeraire for r in rows
        )
        if own_coin and set(cash) <= {numeraire}:
            return combine(self.unit_coin, quantity)
        worth = math.fsum(
            [
                *(amount * self._price0(currency) for currency, amount in cash.items()),
                *(float(q) * float(self.base_usd[r]) for r, q in zip(rows, held, strict=True)),
            ]
        )
        return self._in_coin(self._usd_pnl(quantity, cash), worth, numeraire)

    def line_pnl(self, portfolio: Portfolio, *, numeraire: str = "USD") -> FloatArray:
        """Return the profit of each position alone, shape (positions, scenarios), in the numeraire.

        Notes
        -----
        In a coin each line is an account of its own without balances, as in :meth:`account_pnl`.
        """
        rows, held = self._positions(portfolio)
        if numeraire in STABLECOINS:
            return self.unit_usd[rows] * held[:, None]
        self._check_currency(numeraire, balance=False)
        lines = np.empty((len(rows), len(self)))
        for at, (row, qty) in enumerate(zip(rows, held, strict=True)):
            instrument = self.instruments[row]
            if instrument.is_inverse and instrument.underlying == numeraire:
                lines[at] = qty * self.unit_coin[row]
            else:
                worth = float(qty) * float(self.base_usd[row])
                lines[at] = self._in_coin(qty * self.unit_usd[row], worth, numeraire)
        return lines

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

    def _usd_pnl(self, quantity: FloatArray, cash: Mapping[str, float]) -> FloatArray:
        total = combine(self.unit_usd, quantity)
        for currency, amount in cash.items():
            if currency not in STABLECOINS:
                total += amount * (self.spot1[currency] - self.spot0[currency])
        return total

    def _in_coin(self, pnl: FloatArray, worth: float, coin: str) -> FloatArray:
        value: FloatArray = (worth + pnl) / self.spot1[coin] - worth / self.spot0[coin]
        return value

    def _price0(self, currency: str) -> float:
        return 1.0 if currency in STABLECOINS else self.spot0[currency]

    def _check_currency(self, currency: str, *, balance: bool) -> None:
        if currency in STABLECOINS:
            return
        what = "collateral" if balance else "numeraire"
        if currency not in self.spot0:
            raise ConventionError(
                f"{what} currency {currency!r} has no price in the snapshot",
                f"one of {', '.join((*STABLECOINS, *self.spot0))}",
                "remove it, or load a snapshot that prices it",
            )
        if currency not in self.moved:
            raise DataGapError(
                f"scenarios {self.scenarios.name!r} hold no factor of the {what} currency {currency}",
                f"one of {', '.join(sorted(self.moved)) or 'none'}",
                f"build the scenarios with {currency} among the underlyings",
            )

    # -- display --------------------------------------------------------------------------------------------
    def check(self) -> None:
        """Raise where ``unit_usd = unit_coin S' + base_coin (S' - S)`` fails for a coin-settled contract."""
        for row, instrument in enumerate(self.instruments):
            if not np.isfinite(self.unit_usd[row]).all():
                raise PmkitError(
                    f"profit of {instrument.name} is not finite", "finite numbers", "report this as a bug"
                )
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
        """Return one row an instrument: present value, and mean, worst and best unit profit in USD."""
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
        return frame.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return unit profits in USD, one row a scenario and one column an instrument."""
        return pd.DataFrame(
            self.unit_usd.T,
            index=pd.RangeIndex(len(self), name="scenario"),
            columns=pd.Index([i.name for i in self.instruments], name="instrument"),
        )
