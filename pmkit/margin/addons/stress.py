"""Stress in a rule from a risk measure: a stress period, and correlations that turn against the book."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.estimation import worst_case_correlation
from pmkit.margin.accounts.numbers import checked_number, checked_share
from pmkit.margin.addons.base import PartCharge, PartInput
from pmkit.margin.addons.tail import MeasuredTail

__all__ = ["StressPeriod", "WorstCaseCorrelationMode"]


@dataclass(frozen=True, kw_only=True)
class StressPeriod:
    """The measure over the windows of a stress period, as a floor on the requirement or in a mean with it.

    Attributes
    ----------
    start, end : str
        First and last date of the period, in the known history.
    level, mm_level : float
        Levels of the measure over the period for IM and MM.
    combine : {"floor", "mean"}
        ``"floor"``: the requirement is at least ``share`` of the stressed measure. ``"mean"``: the stressed
        measure has the weight ``share``; the charge is negative where stress asks for less.
    share : float
        Above 0; at most 1 in a mean.
    replications : int
        How often each window is used, each time with its own residuals of vol and basis.
    name : str

    Notes
    -----
    ``max(0, share · M_stress − M)`` or ``share · (M_stress − M)`` with M the base requirement and the charges
    of the parts before: this part sees the others, so its place in their order counts. Moves of the period
    are not scaled to today's volatility. Clause PART-6.

    References
    ----------
    Eurex Clearing (2026); CME Group (undated), SPAN 2; European Commission (2013), article 28(1).

    Examples
    --------
    >>> StressPeriod(start="2020-02-15", end="2020-10-21", level=0.95, mm_level=0.9).name
    'stress period'
    """

    clause: ClassVar[str] = "PART-6"
    references: ClassVar[tuple[str, ...]] = ("eurex2026prisma", "cmespan2", "emir2013")
    sees_others: ClassVar[bool] = True

    start: str
    end: str
    level: float
    mm_level: float
    combine: Literal["floor", "mean"] = "floor"
    share: float = 1.0
    replications: int = 20
    name: str = "stress period"

    def __post_init__(self) -> None:
        if self.combine not in ("floor", "mean"):
            raise ParameterError(f"combine is {self.combine!r}", "'floor' or 'mean'", "name one of the two")
        top = math.inf if self.combine == "floor" else 1.0
        checked_number("share", self.share, low=0.0, high=top, open_low=True)
        for what, level in (("level", self.level), ("mm_level", self.mm_level)):
            checked_number(what, level, low=0.5, high=1.0 - 1e-12)
        checked_number("replications", self.replications, low=1)

    def charge(self, given: PartInput) -> PartCharge:
        """Return what stress adds to base and earlier parts, USD."""
        found = given.measured.stressed(self.start, self.end, self.replications, self.level, self.mm_level)
        figures = {"stressed": found.im, "windows": float(found.windows)}
        im, mm = given.so_far
        return PartCharge(self._added(found.im, im), self._added(found.mm, mm), figures)

    def _added(self, stressed: float, before: float) -> float:
        if self.combine == "floor":
            return max(self.share * stressed - before, 0.0)
        return self.share * (stressed - before)


@dataclass(frozen=True, kw_only=True)
class WorstCaseCorrelationMode:
    """A charge for correlations between underlyings that turn against the book, growing with measured stress.

    Attributes
    ----------
    width : float
        Half-width of the box round each correlation at full stress; 2 leaves it any value.
    calm, tense : float
        Shares of the history's volatility levels at which stress begins and is full, calm below tense.
    window_days : int
        Length of the windows whose realised volatility today's level is ranked among.
    tenor_days : float
        Tenor of today's at-the-money implied volatility; the last window's realised one where the snapshot
        has no surface.
    stress : float or None
        Measured stress given by the caller, 0 to 1; None to measure it.
    name : str

    Notes
    -----
    With x_u the P&L of an underlying over the scenarios, s_u its standard deviation, R the correlations of
    the x_u and R* the worst ones in the box of half-width ``width · stress``, the charge is
    ``k (√(s'R*s) − √(s'Rs))`` with ``k = Σ M_u / Σ s_u`` the measure of the underlyings alone by standard
    deviation. Without stress it is 0; with any correlation allowed, base and charge come to about the sum of
    the underlyings alone. Stress is the rank of today's volatility, cut to [calm, tense] and stretched to
    [0, 1], averaged over the underlyings. Clause PART-7.

    References
    ----------
    Intercontinental Exchange (undated); El Ghaoui, Oks and Oustry (2003).

    Examples
    --------
    >>> WorstCaseCorrelationMode(width=0.5, calm=0.5, tense=0.95).name
    'worst-case correlation'
    """

    clause: ClassVar[str] = "PART-7"
    references: ClassVar[tuple[str, ...]] = ("iceirm2", "sec2021stans", "elghaoui2003")

    width: float
    calm: float
    tense: float
    window_days: int = 30
    tenor_days: float = 30.0
    stress: float | None = None
    name: str = "worst-case correlation"

    def __post_init__(self) -> None:
        checked_number("width", self.width, low=0.0, high=2.0)
        checked_share("calm", self.calm)
        checked_number("tense", self.tense, low=self.calm, high=1.0, open_low=True)
        checked_number("window_days", self.window_days, low=2)
        checked_number("tenor_days", self.tenor_days, low=0.0, open_low=True)
        if self.stress is not None:
            checked_share("stress", self.stress)

    def charge(self, given: PartInput) -> PartCharge:
        """Return the charge in USD, with the measured stress and the two standard deviations."""
        tail = given.measured
        stress, figures = self.measured_stress(tail)
        parts = {name: x for name, x in tail.by_underlying().items() if float(np.ptp(x)) > 0.0}
        if len(parts) < 2:
            return PartCharge(0.0, 0.0, {**figures, "stress": stress})
        sd, correlation = _moments(np.array(list(parts.values())), tail.scenarios.weights)
        box = self.width * stress
        before = math.sqrt(max(_variance(sd, correlation), 0.0))
        after = math.sqrt(_variance(sd, _worst(sd, correlation, box))) if box > 0.0 else before
        charges = []
        for level in (tail.table.im_level, tail.table.mm_level):
            alone = math.fsum(tail.value(level, pnl=x) for x in parts.values())
            charges.append(alone / math.fsum(sd) * max(after - before, 0.0))
        figures |= {"stress": stress, "box": box, "sd": before, "sd, worst case": after}
        return PartCharge(charges[0], charges[1], figures)

    def measured_stress(self, tail: MeasuredTail) -> tuple[float, dict[str, float]]:
        """Return the stress, 0 to 1, and level and rank of each underlying behind it.

        Raises
        ------
        DataGapError
            The history is shorter than a window.
        """
        if self.stress is not None:
            return self.stress, {}
        ranks: list[float] = []
        figures: dict[str, float] = {}
        for name in tail.scenarios.underlyings:
            returns = tail.history.returns([name])[name].to_numpy(dtype=np.float64)
            if len(returns) <= self.window_days:
                raise DataGapError(
                    f"{len(returns)} daily returns of {name}",
                    f"more than window_days {self.window_days}",
                    "hand over a longer history, or shorten window_days",
                )
            windows = np.lib.stride_tricks.sliding_window_view(returns, self.window_days)
            realised = np.std(windows, axis=1, ddof=1) * math.sqrt(365.0)
            known = tail.snapshot.market(name).surface is not None
            level = tail.snapshot.atm_iv(name, self.tenor_days) if known else float(realised[-1])
            rank = float(np.count_nonzero(realised <= level)) / len(realised)
            ranks.append(min(max((rank - self.calm) / (self.tense - self.calm), 0.0), 1.0))
            figures |= {f"volatility of {name}": level, f"rank of {name}": rank}
        return math.fsum(ranks) / len(ranks), figures


def _variance(sd: FloatArray, correlation: FloatArray) -> float:
    return float(np.add.reduce((sd[:, None] * sd[None, :] * correlation).ravel()))


def _moments(pnl: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return standard deviations and correlations of rows of P&L under weights, sums in a fixed order."""
    centred = pnl - np.add.reduce(pnl * weights, axis=1)[:, None]
    n = len(pnl)
    covariance = np.array(
        [[float(np.add.reduce(weights * centred[i] * centred[j])) for j in range(n)] for i in range(n)]
    )
    sd = np.sqrt(np.diag(covariance))
    correlation = np.clip(covariance / (sd[:, None] * sd[None, :]), -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    return sd, correlation


def _worst(sd: FloatArray, correlation: FloatArray, box: float) -> FloatArray:
    """Return the correlations in the box with the largest variance of a sum."""
    corner = np.minimum(correlation + box, 1.0)
    np.fill_diagonal(corner, 1.0)
    # every pair adds to the variance, so the upper corner of the box is the optimum wherever it is legal
    if float(np.linalg.eigvalsh(corner)[0]) >= -1e-12:
        return corner
    found = worst_case_correlation(sd, correlation, box=box).raise_if_bad()
    return np.asarray(found.matrix, dtype=np.float64)
