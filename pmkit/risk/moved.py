"""The market after each scenario: spot, forwards, vol levels and settlement prices, once per expiry."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError
from pmkit.core.protocols import VolSurface
from pmkit.core.types import FloatArray
from pmkit.instruments import Future, Instrument, Option
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.scenario_set import Factor, ScenarioSet

__all__ = ["MovedMarket"]


class MovedMarket:
    """Prices and vols behind every scenario for a list of instruments, before any contract is valued.

    Parameters
    ----------
    snapshot : MarketSnapshot
    scenarios : ScenarioSet
    instruments : iterable of Instrument
        What will be valued; decides which forwards and settlement prices are needed.

    Raises
    ------
    DataGapError
        The scenarios move no factor of an underlying that is held, or the smile must move and there is no
        surface.
    ConventionError
        A contract expires inside the horizon and the scenarios hold no fixing for its expiry.
    """

    def __init__(
        self, snapshot: MarketSnapshot, scenarios: ScenarioSet, instruments: Iterable[Instrument]
    ) -> None:
        self.snapshot, self.scenarios = snapshot, scenarios
        self.ratio: dict[str, FloatArray] = {}
        self.spot: dict[str, FloatArray] = {}
        self.forwards: dict[tuple[str, pd.Timestamp], FloatArray] = {}
        self.logs: dict[tuple[str, pd.Timestamp], FloatArray] = {}
        self.levels: dict[tuple[str, pd.Timestamp], FloatArray | None] = {}
        self.fixings: dict[tuple[str, pd.Timestamp], FloatArray] = {}
        self._moved = {f.underlying for f in scenarios.factors}
        self._end = snapshot.as_of + pd.Timedelta(days=scenarios.horizon_days)
        for name in snapshot.underlyings:
            self.ratio[name] = scenarios.spot_multiplier(name)
            self.spot[name] = snapshot.spot(name) * self.ratio[name]
        for instrument in instruments:
            self._prepare(instrument)

    def covers(self, underlying: str) -> bool:
        """Whether the scenarios hold any factor of the underlying."""
        return underlying in self._moved

    def settles(self, instrument: Instrument) -> bool:
        """Whether a contract expires at or before the horizon."""
        return isinstance(instrument, (Future, Option)) and instrument.expiry <= self._end

    def tau(self, expiry: pd.Timestamp) -> float:
        """Years from the horizon to ``expiry``."""
        return self.snapshot.tau(expiry) - self.scenarios.horizon_days / 365.0

    def perpetual(self, underlying: str) -> FloatArray:
        """Return the perpetual in each scenario: its premium over the index is kept, then its basis moved."""
        price = self.snapshot.market(underlying).perpetual * self.ratio[underlying]
        basis = self.scenarios.column("basis", underlying)
        return price if basis is None else price * np.exp(basis)

    def smile(self, option: Option) -> FloatArray | None:
        """Return vol after the smile's move / vol before, shape (scenarios,); None where it stays.

        ``sticky_moneyness`` reads the surface at ln(K/F') instead of ln(K/F); ``sticky_delta`` also divides
        by how much the at-the-money total vol moved, so that vol is held at ln(K/F) / (sigma_ATM sqrt(tau)).
        """
        dynamics = self.scenarios.dynamics
        if dynamics == "sticky_strike":
            return None
        surface = self._surface(option)
        key, tau = (option.underlying, option.expiry), self.snapshot.tau(option.expiry)
        before = np.log(option.strike) - np.log(self.snapshot.forward(*key))
        after = np.log(option.strike) - self.logs[key]
        if dynamics == "sticky_delta":
            level = self.levels[key]
            after *= math.sqrt(tau / self.tau(option.expiry))
            if level is not None:
                # where the level is 0 the vol is 0 whatever the smile says
                after /= np.where(level > 0.0, level, 1.0)
        ratio: FloatArray = np.sqrt(surface.w(after, tau) / surface.w(float(before), tau))
        return ratio

    def vol(self, option: Option) -> FloatArray:
        """Return the implied vol of an option in each scenario, annualised decimal."""
        iv = np.full(len(self.scenarios), self.snapshot.iv(option))
        smile, level = self.smile(option), self.levels[option.underlying, option.expiry]
        if smile is not None:
            iv *= smile
        if level is not None:
            iv *= level
            floor = self.scenarios.min_vol_up
            if floor > 0.0:
                shock = self.scenarios.column("vol", option.underlying)
                assert shock is not None
                iv = np.where(shock > 0.0, np.maximum(iv, floor), iv)
        return iv

    # -- preparation ----------------------------------------------------------------------------------------
    def _prepare(self, instrument: Instrument) -> None:
        self.snapshot.mark(instrument)  # raises for unknown, expired and unquoted contracts
        name = instrument.underlying
        if not self.covers(name):
            raise DataGapError(
                f"scenarios {self.scenarios.name!r} move {', '.join(sorted(self._moved)) or 'nothing'}, "
                f"and {instrument.name} is held",
                f"a factor of {name}",
                f"build the scenarios with {name} among the underlyings, or take the line out",
            )
        if not isinstance(instrument, (Future, Option)):
            return
        key = (name, instrument.expiry)
        if self.settles(instrument):
            if key not in self.fixings:
                self.fixings[key] = self._fixing(*key)
            return
        if key not in self.forwards:
            self.forwards[key] = self._forward(*key)
        if isinstance(instrument, Option) and key not in self.levels:
            self.logs[key] = np.log(self.forwards[key])
            self.levels[key] = self._level(*key)
        if isinstance(instrument, Option) and self.scenarios.dynamics != "sticky_strike":
            self._surface(instrument)

    def _forward(self, name: str, expiry: pd.Timestamp) -> FloatArray:
        """Forward after the spot move, with its carry run off to the horizon and its basis moved."""
        forward, tau = self.snapshot.forward(name, expiry), self.snapshot.tau(expiry)
        carry = math.log(forward / self.snapshot.spot(name))
        run_off = carry * (self.tau(expiry) / tau - 1.0)
        basis = self.scenarios.column("basis", name, expiry)
        moved: FloatArray = forward * self.ratio[name] * np.exp(run_off if basis is None else run_off + basis)
        return moved

    def _level(self, name: str, expiry: pd.Timestamp) -> FloatArray | None:
        """Factor on implied vol at the expiry's tenor, or None where the set does not move vol."""
        shock = self.scenarios.column("vol", name)
        if shock is None:
            return None
        scaled = shock * self.scenarios.vol_term.scale(self.snapshot.days(expiry))
        level: FloatArray = (
            np.exp(scaled) if self.scenarios.vol_unit == "log" else np.maximum(0.0, 1.0 + scaled)
        )
        return level

    def _fixing(self, name: str, expiry: pd.Timestamp) -> FloatArray:
        move = self.scenarios.column("fixing", name, expiry)
        if move is None:
            raise ConventionError(
                f"{name} contracts of {expiry.isoformat()} settle inside the horizon of "
                f"{self.scenarios.horizon_days:g} days",
                f"a factor {Factor('fixing', name, expiry).label!r} in the scenarios",
                "use historical or filtered_historical scenarios built on this snapshot, or a horizon of 0",
            )
        fixed: FloatArray = self.snapshot.spot(name) * np.exp(move)
        return fixed

    def _surface(self, option: Option) -> VolSurface:
        surface = self.snapshot.market(option.underlying).surface
        if surface is None:
            raise DataGapError(
                f"{self.scenarios.dynamics} must move the smile of {option.underlying} and the snapshot "
                f"has no surface",
                "a fitted surface",
                "load a chain from which a surface can be fitted, or use dynamics='sticky_strike'",
            )
        return surface
