"""Implied vol that jumps with large moves of the price and decays: a self-exciting variance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pmkit.backtest.walk.vol_laws.vol_law import LawInput, Numbers, VolLaw, long_run_variances, mean_decay
from pmkit.core.random import stream
from pmkit.core.types import FloatArray

__all__ = ["JumpVolLaw"]


@dataclass(frozen=True, kw_only=True)
class JumpVolLaw(VolLaw):
    """Implied vols that jump with the size of large moves and with shocks of their own.

    Between jumps vol decays to its level; moves below the threshold do nothing. The slope of the smile is
    fixed and keeps its place in ln(K/F).

    Attributes
    ----------
    threshold : float
        Size in long-run standard deviations that a day's move must pass to excite the variance, 0 or more.
    reaction : float
        Excitation per standard deviation beyond the threshold, 0 or more.
    decay : float
        Rate per date at which excitation decays, above 0: 0.1 halves it in 7 dates, if nothing follows.
    branching : float
        Offspring of a jump among the jumps of vol itself, in [0, 1): what makes it self-exciting.
    mean_jump : float
        Mean size of vol's own jumps, in units of the base variance, above 0.
    smile_slope : float
        Slope of ln(iv) in ln(K/F) at the money, in [-2, 2].
    prior_days : float
        How many days the prior weighs in the long-run level, above 0.

    Notes
    -----
    Variance is L(1 + X)/N. L is the mean of prior and squared returns so far. Excitation X decays by e^-β a
    date and rises by ``reaction`` · max(z - u, 0), z the size of the return in standard deviations of L, u =
    ``threshold``, and by own jumps: exponential sizes of mean m, at most one a date, with intensity
    nβ(1 + X)/m, n = ``branching``.
    Without returns X reverts to x̄ = n/(1 - n) at the rate β(1 - n), so its expected mean over T dates is
    x̄ + (X - x̄)(1 - e^(-β(1-n)T))/(β(1-n)T). N, the mean of 1 + X so far with ``prior_days`` dates of 1 + x̄,
    keeps the level near realised variance.

    References
    ----------
    Hawkes (1971); Aït-Sahalia, Cacho-Diaz and Laeven (2015) on prices whose jumps excite each other.

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> path = JumpVolLaw().path(load_history("crypto-daily-2020-2023"), underlyings=["BTC"])
    >>> path.frame["BTC"].loc[["2020-03-11", "2020-03-12"]].round(2).tolist()
    [0.76, 1.8]
    """

    label: ClassVar[str] = "jump law"
    references: ClassVar[tuple[str, ...]] = ("hawkes1971", "aitsahalia2015")

    threshold: float = 2.0
    reaction: float = 1.0
    decay: float = 0.10
    branching: float = 0.3
    mean_jump: float = 0.5
    smile_slope: float = -0.2
    prior_days: float = 365.0

    def _numbers(self) -> Numbers:
        return {
            "threshold": (self.threshold, 0.0 <= self.threshold < math.inf, "0 or more"),
            "reaction": (self.reaction, 0.0 <= self.reaction < math.inf, "0 or more"),
            "decay": (self.decay, 0.0 < self.decay < math.inf, "a positive number"),
            "branching": (self.branching, 0.0 <= self.branching < 1.0, "[0, 1)"),
            "mean_jump": (self.mean_jump, 0.0 < self.mean_jump < math.inf, "a positive number"),
            "smile_slope": (self.smile_slope, -2.0 <= self.smile_slope <= 2.0, "[-2, 2]"),
            "prior_days": (self.prior_days, 0.0 < self.prior_days < math.inf, "a positive number"),
        }

    def _vols(
        self, given: LawInput, at: int, noise: FloatArray, seed: int
    ) -> tuple[FloatArray, FloatArray | None]:
        rest = self.branching / (1.0 - self.branching)
        steps = self.tenor_days * given.periods / 365.0
        span = mean_decay(self.decay * (1.0 - self.branching) * steps)
        level = long_run_variances(given.squares(at), self.prior_vol, self.prior_days)
        sizes = stream(seed, "jump law sizes", given.names[at]).standard_exponential(given.days)
        moves = np.abs(given.returns[:, at]) / np.sqrt(level[:-1] / given.periods)
        arrivals = self.reaction * np.maximum(moves - self.threshold, 0.0)
        rate = self.branching * self.decay / self.mean_jump
        excited = _excitation(arrivals, noise, self.mean_jump * sizes, self.decay, rate, rest)
        usual = self.prior_days * (1.0 + rest) + np.cumsum(1.0 + excited) - (1.0 + excited[0])
        usual /= self.prior_days + np.arange(given.days)
        expected = 1.0 + rest + (excited - rest) * span
        slope = np.full(given.days, float(self.smile_slope))
        return self.premium * np.sqrt(level * expected / usual), slope


def _excitation(
    arrivals: FloatArray, timing: FloatArray, sizes: FloatArray, decay: float, intensity: float, start: float
) -> FloatArray:
    """Return X on each date: what is left of yesterday's, the day's large move, and a jump of its own."""
    path = np.empty(timing.size)
    path[0] = x = start
    kept = math.exp(-decay)
    for t in range(1, timing.size):
        chance = 0.5 * math.erfc(-timing[t] / math.sqrt(2.0))
        own = sizes[t] if chance < -math.expm1(-intensity * (1.0 + x)) else 0.0
        x = kept * x + arrivals[t - 1] + own
        path[t] = x
    return path
