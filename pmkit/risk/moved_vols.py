"""Implied vols after each scenario: the smile's move, level and term, skew and curvature, and the floor."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.protocols import VolSurface
from pmkit.core.types import FloatArray
from pmkit.instruments import Option
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import forward_logs
from pmkit.scenarios.factors import Factor
from pmkit.scenarios.scenario_set import ScenarioSet
from pmkit.surface import SurfaceShock

__all__ = ["MovedVols"]

#: standard deviations at which skew and curvature level off, as in a shock of a whole surface
_REACH = SurfaceShock().reach


class MovedVols:
    """Vols behind every scenario: each contract's own vol moved as the surface of its underlying moves.

    Parameters
    ----------
    snapshot : MarketSnapshot
    scenarios : ScenarioSet

    Notes
    -----
    In this order: the smile's move by the dynamics (a ratio), level and term (factors), skew and curvature
    (added), the floor of a vol that rises. The same as :class:`pmkit.surface.SurfaceShock` does to a surface.
    """

    def __init__(self, snapshot: MarketSnapshot, scenarios: ScenarioSet) -> None:
        self.snapshot, self.scenarios = snapshot, scenarios
        self.logs: dict[tuple[str, pd.Timestamp], FloatArray] = {}
        self.levels: dict[tuple[str, pd.Timestamp], FloatArray | None] = {}

    def tau(self, expiry: pd.Timestamp) -> float:
        """Years from the horizon to ``expiry``."""
        return self.snapshot.tau(expiry) - self.scenarios.horizon_days / 365.0

    def prepare(self, option: Option, forwards: FloatArray) -> None:
        """Work out what all options of an expiry share, or raise where there is no surface to move.

        Parameters
        ----------
        option : Option
        forwards : ndarray, shape (scenarios,)
            Forward of its expiry in each scenario, USD.
        """
        key = (option.underlying, option.expiry)
        if key not in self.levels:
            self.logs[key] = forward_logs(forwards)
            self.levels[key] = self._level(*key)
        if self.scenarios.dynamics != "sticky_strike":
            self._surface(option, f"{self.scenarios.dynamics} must move the smile")
        for kind in ("skew", "curvature"):
            if self.scenarios.column(kind, option.underlying) is not None:
                self._surface(option, f"{Factor(kind, option.underlying).label!r} must shape the smile")

    def smile(self, option: Option) -> FloatArray | None:
        """Return vol after the smile's move / vol before, shape (scenarios,); None where it stays.

        ``sticky_moneyness`` reads the surface at ln(K/F') instead of ln(K/F); ``sticky_delta`` also divides
        by how much the at-the-money total vol moved, so that vol is held at ln(K/F) / (sigma_ATM sqrt(tau)).
        """
        dynamics = self.scenarios.dynamics
        if dynamics == "sticky_strike":
            return None
        surface = self._surface(option, f"{dynamics} must move the smile")
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

    def shape(self, option: Option) -> FloatArray | None:
        """Return what skew and curvature add to the vol, shape (scenarios,); None where nothing.

        Notes
        -----
        ``-skew t + curvature t²`` with ``t = 3 tanh(z/3)`` and ``z = ln(K/F')/(iv_ATM sqrt(tau))``, the vol
        at the money and the time being those before the scenario.
        """
        skew, curvature = (
            self.scenarios.column("skew", option.underlying),
            self.scenarios.column("curvature", option.underlying),
        )
        if skew is None and curvature is None:
            return None
        surface = self._surface(option, "skew and curvature must shape the smile")
        sd = math.sqrt(float(surface.w(0.0, self.snapshot.tau(option.expiry))))
        k = np.log(option.strike) - self.logs[option.underlying, option.expiry]
        t = _REACH * np.tanh(k / (sd * _REACH))
        added = np.zeros(len(self.scenarios))
        if skew is not None:
            added -= skew * t
        if curvature is not None:
            added += curvature * t * t
        return added

    def vol(self, option: Option) -> FloatArray:
        """Return the implied vol of an option in each scenario, annualised decimal.

        Raises
        ------
        ParameterError
            Skew or curvature takes it to 0 or below.
        """
        iv = np.full(len(self.scenarios), self.snapshot.iv(option))
        smile, level = self.smile(option), self.levels[option.underlying, option.expiry]
        if smile is not None:
            iv *= smile
        if level is not None:
            iv *= level
        shape = self.shape(option)
        if shape is not None:
            iv += shape
        shock, floor = self.scenarios.column("vol", option.underlying), self.scenarios.min_vol_up
        if shock is not None and floor > 0.0:
            iv = np.where(shock > 0.0, np.maximum(iv, floor), iv)
        if shape is not None and not float(iv.min()) > 0.0:
            self._not_positive(option, iv)
        return iv

    # -- parts ----------------------------------------------------------------------------------------------
    def _level(self, name: str, expiry: pd.Timestamp) -> FloatArray | None:
        """Factor on implied vol at the expiry's tenor, or None where the set moves neither vol nor term."""
        scenarios, days = self.scenarios, self.snapshot.days(expiry)
        shock, twist = scenarios.column("vol", name), scenarios.column("term", name)
        level: FloatArray | None = None
        if shock is not None:
            scaled = shock * scenarios.vol_term.scale(days)
            level = np.exp(scaled) if scenarios.vol_unit == "log" else np.maximum(0.0, 1.0 + scaled)
        if twist is not None:
            factor = np.exp(twist * math.log(days / scenarios.vol_term.reference_days))
            level = factor if level is None else level * factor
        return level

    def _surface(self, option: Option, why: str) -> VolSurface:
        surface = self.snapshot.market(option.underlying).surface
        if surface is None:
            raise DataGapError(
                f"{why} of {option.underlying} and the snapshot has no surface",
                "a fitted surface",
                "load a chain from which a surface can be fitted, or use dynamics='sticky_strike' and moves "
                "of spot, vol and term alone",
            )
        return surface

    def _not_positive(self, option: Option, iv: FloatArray) -> None:
        at = int(np.argmin(iv))
        moves = [
            f"{column[at]:+g} of {Factor(kind, option.underlying).label!r}"
            for kind in ("skew", "curvature")
            if (column := self.scenarios.column(kind, option.underlying)) is not None
        ]
        raise ParameterError(
            f"implied vol of {option.name} is {iv[at]:.4g} in scenario {at} ({self.scenarios.label(at)}) "
            f"after the move {' and '.join(moves)}",
            "a positive vol",
            "make the move smaller, or give min_vol_up where vol rises",
        )
