"""Spectral risk measures: the loss quantiles weighted by a spectrum that never prefers a worse one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.risk.measures.figure import RiskFigure, share_frame
from pmkit.risk.measures.sample import bootstrap_error, check_scenarios, effective_size, probabilities
from pmkit.risk.tail import tail_of
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["Spectrum", "spectral_risk"]


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """How much each quantile of the loss counts: a density on (0, 1) that does not decrease.

    It is a mixture of ES spectra, or the exponential one.

    Attributes
    ----------
    name : str
        Formula with its parameters.
    levels, shares : tuple of float
        Mixture of ES at ``levels`` (0 is the mean loss) with ``shares`` that sum to 1; empty otherwise.
    aversion : float
        Of the exponential spectrum; 0 for a mixture.

    Raises
    ------
    ParameterError
        Neither a mixture whose shares sum to 1 nor a positive aversion.

    Examples
    --------
    >>> Spectrum.exponential(20.0).name
    'exponential, aversion 20'
    """

    name: str
    levels: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    aversion: float = 0.0

    def __post_init__(self) -> None:
        at, share = self.levels, self.shares
        mixture = len(at) > 0 and len(at) == len(share) and all(0.0 <= x < 1.0 for x in at)
        if mixture:
            mixture = all(x >= 0.0 for x in share) and abs(math.fsum(share) - 1.0) <= 1e-9
        exponential = 0.0 < self.aversion < math.inf and not at and not share
        if not (exponential or (mixture and self.aversion == 0.0)):
            raise ParameterError(
                f"levels {at}, shares {share} and aversion {self.aversion!r}",
                "levels from 0 to below 1 with shares that sum to 1, or a positive aversion alone",
                "Spectrum.shortfalls, Spectrum.steps or Spectrum.exponential",
            )

    @classmethod
    def exponential(cls, aversion: float) -> Spectrum:
        """Return ``phi(u) = k exp(-k (1-u)) / (1 - exp(-k))`` with absolute risk aversion ``k`` above 0."""
        if isinstance(aversion, bool) or not 0.0 < aversion < math.inf:
            raise ParameterError(f"aversion is {aversion!r}", "a positive number, such as 20", "correct it")
        return cls(name=f"exponential, aversion {aversion:g}", aversion=float(aversion))

    @classmethod
    def shortfalls(cls, levels: Sequence[float], shares: Sequence[float] = (1.0,)) -> Spectrum:
        """Return the spectrum of ``sum(share * ES(level))``; level 0 is the mean loss.

        Raises
        ------
        ParameterError
            Levels outside [0, 1), or shares negative, of another number or with a sum other than 1.
        """
        at, share = tuple(float(x) for x in levels), tuple(float(x) for x in shares)
        if not at or not all(0.0 <= x < 1.0 for x in at):
            raise ParameterError(f"levels are {at}", "one or more levels from 0 to below 1", "correct them")
        if len(share) != len(at) or not all(x >= 0.0 for x in share) or abs(math.fsum(share) - 1.0) > 1e-9:
            raise ParameterError(
                f"shares {share} for {len(at)} levels",
                "one share a level, 0 or more, sum 1",
                "normalise them",
            )
        text = " + ".join(f"{s:g} ES({x:g})" for x, s in zip(at, share, strict=True))
        return cls(name=text, levels=at, shares=share)

    @classmethod
    def steps(cls, weights: Sequence[float]) -> Spectrum:
        """Return the spectrum that is constant on equal parts of (0, 1), best outcomes first.

        Parameters
        ----------
        weights : sequence of float
            One a part, 0 or more, not decreasing, sum 1: for a sample of as many equally likely scenarios
            they are the weights of the losses from the smallest to the largest.

        Raises
        ------
        ParameterError
            Weights that decrease, which would reward a larger loss, or do not sum to 1.
        """
        given = np.asarray(weights, dtype=np.float64)
        if given.ndim != 1 or given.size == 0 or not np.isfinite(given).all() or not (given >= 0.0).all():
            raise ParameterError(
                f"weights {weights!r}", "one or more finite numbers, 0 or more", "correct them"
            )
        if abs(float(given.sum()) - 1.0) > 1e-9:
            raise ParameterError(f"weights sum to {float(given.sum()):g}", "1", "normalise them")
        rise = np.diff(given, prepend=0.0)
        if (rise < -1e-15).any():
            at = int(np.flatnonzero(rise < -1e-15)[0])
            raise ParameterError(
                f"weight {at} is {given[at]:g} after {given[at - 1]:g}",
                "weights that do not decrease towards larger losses, else the measure is not coherent",
                "sort them, or take the weights of the scenarios instead",
            )
        levels = np.arange(given.size) / given.size
        shares = np.maximum(rise, 0.0) * given.size * (1.0 - levels)
        return cls(
            name=f"{given.size} steps",
            levels=tuple(levels.tolist()),
            shares=tuple((shares / shares.sum()).tolist()),
        )

    def cumulative(self, u: FloatArray) -> FloatArray:
        """Return the integral of the spectrum from 0 to ``u``, shape of ``u``."""
        if self.aversion > 0.0:
            k = self.aversion
            value: FloatArray = (np.exp(-k * (1.0 - u)) - math.exp(-k)) / -math.expm1(-k)
            return value
        total = np.zeros_like(u)
        for level, share in zip(self.levels, self.shares, strict=True):
            if share > 0.0:
                total += share * np.maximum(u - level, 0.0) / (1.0 - level)
        return total

    def density(self, u: FloatArray) -> FloatArray:
        """Return the spectrum at ``u``, right-continuous, shape of ``u``."""
        if self.aversion > 0.0:
            k = self.aversion
            value: FloatArray = k * np.exp(-k * (1.0 - u)) / -math.expm1(-k)
            return value
        total = np.zeros_like(u)
        for level, share in zip(self.levels, self.shares, strict=True):
            total += share * (u >= level) / (1.0 - level)
        return total


def spectral_risk(
    pnl: npt.ArrayLike,
    spectrum: Spectrum,
    weights: npt.ArrayLike | None = None,
    *,
    scenarios: ScenarioSet | None = None,
    n_boot: int = 0,
    seed: int = 0,
) -> RiskFigure:
    """Return the spectral risk measure of a P&L vector: a coherent mean of its loss quantiles.

    Parameters
    ----------
    pnl : array_like, shape (n,)
        Profit by scenario, gain positive, finite.
    spectrum : Spectrum
    weights : array_like, shape (n,), optional
        Probabilities of the scenarios, as for :func:`expected_shortfall`.
    scenarios : ScenarioSet, optional
    n_boot, seed : int
        Samples behind ``se_bootstrap``, 0 for none, and their seed.

    Returns
    -------
    RiskFigure
        ``level`` and ``threshold`` are NaN; the shares of all scenarios add up to the value.

    Raises
    ------
    ParameterError
        P&L not finite or empty, weights negative or of another length, no spectrum.

    Notes
    -----
    ``M = integral of phi(u) q(u) du`` with q the quantile of the loss: a scenario between the probabilities
    ``a`` and ``b`` has the share ``Phi(b) - Phi(a)``. The error is that of a linear combination of order
    statistics: the spread of ``int (F(x) - 1{loss <= x}) phi(F(x)) dx``.

    References
    ----------
    Acerbi (2002), theorem 2.5 and section 4.

    Examples
    --------
    >>> losses = np.arange(1.0, 101.0)
    >>> round(float(spectral_risk(-losses, Spectrum.shortfalls([0.975]))), 6)
    99.2
    """
    if not isinstance(spectrum, Spectrum):
        raise ParameterError(
            f"spectrum is a {type(spectrum).__name__}", "a Spectrum", "Spectrum.exponential(20.0) and alike"
        )
    tail = tail_of(pnl, 0.5, probabilities(weights, scenarios))
    check_scenarios(tail, scenarios)

    def again(drawn: FloatArray, weight: FloatArray) -> float:
        sample = tail_of(drawn, 0.5, weight)
        return float(np.add.reduce(_shares(sample.weight, spectrum) * sample.loss))

    share = _shares(tail.weight, spectrum)
    return RiskFigure(
        value=float(np.add.reduce(share * tail.loss)),
        measure="spectral",
        estimator=f"quantiles weighted by {spectrum.name}",
        level=math.nan,
        n=tail.loss.size,
        threshold=math.nan,
        tail_weight=1.0,
        se_simulation=_error(tail.loss[::-1], tail.weight[::-1], spectrum),
        tail_scenarios=share_frame(-tail.loss, share, tail.order, scenarios),
        se_bootstrap=bootstrap_error(tail, again, n_boot, seed),
        additive=True,
        settings={"spectrum": spectrum.name},
        references=("acerbi2002spectral",),
    )


def _shares(weight: FloatArray, spectrum: Spectrum) -> FloatArray:
    """Return what each loss counts, worst first; the sum is 1."""
    edges = np.concatenate([[1.0], 1.0 - np.cumsum(weight)])
    edges[-1] = 0.0
    reached = spectrum.cumulative(np.maximum(edges, 0.0))
    share: FloatArray = np.maximum(reached[:-1] - reached[1:], 0.0)
    return share / float(np.add.reduce(share))


def _error(loss: FloatArray, weight: FloatArray, spectrum: Spectrum) -> float:
    """Return the standard error from losses in ascending order."""
    level = np.minimum(np.cumsum(weight), 1.0)[:-1]
    steps = spectrum.density(level) * np.diff(loss)
    # the influence of loss i: every step above it counts fully against its own probability
    above = np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])
    influence = float(np.add.reduce(level * steps)) - above
    return math.sqrt(float(np.add.reduce(weight * influence**2)) / effective_size(weight))
