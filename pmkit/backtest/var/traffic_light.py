"""The Basel traffic light: zones for any n and p, multipliers only where the Committee tabulates them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, overload

import numpy.typing as npt
import pandas as pd
from scipy.stats import binom

from pmkit.backtest.series.checks import check_alpha, check_count, check_probability
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample, read_samples
from pmkit.backtest.series.test_result import BacktestTest, Decision
from pmkit.core.errors import ParameterError

__all__ = [
    "BaselOutcome",
    "ZoneLimits",
    "basel_multiplier",
    "basel_zone",
    "basel_zone_limits",
]

Zone = Literal["green", "yellow", "red", "not_evaluable"]
Rules = Literal["1996", "frtb"]

_YELLOW_FROM, _RED_FROM = 0.95, 0.9999  # cumulative probabilities at which the zones begin
_TABLE_N, _TABLE_P = 250, 0.01
# Multiplier at 4 or fewer, 5, 6, 7, 8, 9, and 10 or more hits.
_MULTIPLIERS: dict[str, tuple[float, ...]] = {
    "1996": (3.00, 3.40, 3.50, 3.65, 3.75, 3.85, 4.00),
    "frtb": (1.50, 1.70, 1.76, 1.83, 1.88, 1.92, 2.00),
}


class ZoneLimits(NamedTuple):
    """Largest number of hits that is still green, and largest that is still yellow."""

    green: int
    yellow: int


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class BaselOutcome(BacktestTest):
    """Traffic light of a VaR model: its zone, and the one-sided exact binomial test behind it.

    ``zone`` and ``decision`` answer different questions: the zone compares F(x) = P(X ≤ x) with 95 % and
    99.99 %, the decision compares P(X ≥ x) with ``alpha``. Further parameters are those of
    :class:`~pmkit.backtest.series.test_result.BacktestTest`.

    Parameters
    ----------
    zone : {"green", "yellow", "red", "not_evaluable"}
        ``"not_evaluable"`` where n is so small that even no hit lies at 95 % or above.
    cumulative : float
        F(x) = P(X ≤ x) under Binomial(n, p), in [0, 1].
    multiplier_1996, multiplier_frtb : float or None
        Capital multiplier under the rules of 1996 (3.00 to 4.00) and of the trading-book review (1.50 to
        2.00); None unless n = 250 and p = 0.01, for which alone they are tabulated.
    addon_1996, addon_frtb : float or None
        The part of the multiplier that the hits cause: multiplier less 3.00, or less 1.50.
    """

    zone: Zone
    cumulative: float
    multiplier_1996: float | None
    multiplier_frtb: float | None
    addon_1996: float | None
    addon_frtb: float | None

    def summary(self) -> pd.DataFrame:
        """Return one row, indexed by the name of the test, with the zone before the decision."""
        row = super().summary()
        row.insert(list(row.columns).index("decision"), "zone", self.zone)
        return row

    def _lines(self) -> list[tuple[str, str]]:
        lines = super()._lines()
        lines.insert(0, ("zone", self.zone))
        if self.multiplier_1996 is not None and self.multiplier_frtb is not None:
            lines.insert(
                1, ("multiplier", f"{self.multiplier_1996:.2f} (1996), {self.multiplier_frtb:.2f} (FRTB)")
            )
        return lines


def smallest_count(probability: float, n: int, p: float) -> int:
    """Return the smallest k with P(X ≤ k) ≥ probability under Binomial(n, p)."""
    count = int(binom.ppf(probability, n, p))
    while count > 0 and binom.cdf(count - 1, n, p) >= probability:
        count -= 1
    while count < n and binom.cdf(count, n, p) < probability:
        count += 1
    return count


def smallest_rejected(alpha: float, n: int, p: float) -> int:
    """Return the smallest k with P(X ≥ k) ≤ alpha under Binomial(n, p); n + 1 where there is none."""
    count = int(binom.isf(alpha, n, p)) + 1
    while count > 0 and binom.sf(count - 2, n, p) <= alpha:
        count -= 1
    while binom.sf(count - 1, n, p) > alpha:
        count += 1
    return count


def basel_zone_limits(n: int, p: float) -> ZoneLimits:
    """Return the largest numbers of hits in the green and in the yellow zone, for any n and p.

    Parameters
    ----------
    n : int
        Observations without overlap.
    p : float
        Tail probability in (0, 0.5].

    Raises
    ------
    ParameterError
        n or p outside its domain, or n so small that no count is green.

    References
    ----------
    Basel Committee (1996), table 1.

    Examples
    --------
    >>> basel_zone_limits(250, 0.01)
    ZoneLimits(green=4, yellow=9)
    """
    n, p = check_count(n, "n"), check_probability(p)
    if n == 0 or binom.cdf(0, n, p) >= _YELLOW_FROM:
        raise ParameterError(
            f"n is {n} at p = {p:.8g}: no count is green",
            "so many observations that P(no hit) is below 95 %",
            f"use {math.ceil(math.log(_YELLOW_FROM) / math.log1p(-p))} observations or more",
        )
    return ZoneLimits(
        green=smallest_count(_YELLOW_FROM, n, p) - 1, yellow=smallest_count(_RED_FROM, n, p) - 1
    )


def basel_multiplier(x: int, n: int = 250, p: float = 0.01, rules: Rules = "1996") -> float:
    """Return the capital multiplier that the rules tabulate for x hits in 250 days at 99 %, without a unit.

    Parameters
    ----------
    x : int
        Hits, 0 to n.
    n, p : int, float
        Must be 250 and 0.01: the table is not extrapolated.
    rules : {"1996", "frtb"}
        Amendment of 1996 (3.00 to 4.00), or the trading-book review (1.50 to 2.00).

    Raises
    ------
    ParameterError
        Another n or p, more hits than observations, unknown rules.

    References
    ----------
    Basel Committee (1996), table 2; Basel Committee (2019), MAR99 table 2.

    Examples
    --------
    >>> [basel_multiplier(x) for x in (4, 5, 9, 10)], basel_multiplier(5, rules="frtb")
    ([3.0, 3.4, 3.85, 4.0], 1.7)
    """
    x, n, p = check_count(x, "x"), check_count(n, "n"), check_probability(p)
    if not _tabulated(n, p):
        raise ParameterError(
            f"n is {n} and p is {p:.8g}",
            "n = 250 and p = 0.01, for which multipliers are tabulated",
            "use the zone alone",
        )
    if x > n:
        raise ParameterError(
            f"x is {x}, more than n = {n}", "at most one hit an observation", "check n and x"
        )
    if rules not in _MULTIPLIERS:
        raise ParameterError(f"rules is {rules!r}", "'1996' or 'frtb'", "choose one of them")
    return _MULTIPLIERS[rules][min(max(x - 4, 0), 6)]


def _tabulated(n: int, p: float) -> bool:
    return n == _TABLE_N and math.isclose(p, _TABLE_P, rel_tol=1e-9)


def _light(sample: Sample, alpha: float) -> BaselOutcome:
    n, x, p = sample.n, sample.x, sample.p
    cumulative, at_least = float(binom.cdf(x, n, p)), float(binom.sf(x - 1, n, p))
    notes = sample.notes
    zone: Zone = "green" if cumulative < _YELLOW_FROM else "yellow" if cumulative < _RED_FROM else "red"
    decision: Decision = "rejected" if at_least <= alpha else "not_rejected"
    if binom.cdf(0, n, p) >= _YELLOW_FROM:
        zone, decision = "not_evaluable", "not_evaluable"
        notes += (f"SmallSampleWarning: {n} observations at p = {p:.8g} are so few that no count is green",)
    tabulated = _tabulated(n, p)
    if not tabulated:
        notes += ("Note: no multiplier, because it is tabulated for n = 250 and p = 0.01 only",)
    multipliers = {
        rules: basel_multiplier(x, rules=rules) if tabulated else None for rules in ("1996", "frtb")
    }
    return BaselOutcome(
        name="Basel traffic light",
        h0=f"a hit has probability {p:.8g} at most",
        h1="hits are more frequent",
        sidedness="greater",
        statistic=float(x),
        distribution=f"binomial({n}, {p:.8g})",
        df=None,
        p_asymptotic=math.nan,
        p_exact=at_least,
        p_exact_kind="exact binomial, P(X >= x)",
        p_exact_se=0.0,
        critical_value=float(smallest_rejected(alpha, n, p)),
        alpha=alpha,
        decision=decision,
        decided_by="exact",
        n=n,
        x=x,
        p=p,
        n_effective=n,
        horizon=sample.horizon,
        warnings=notes,
        references=("basel1996", "basel2019"),
        details={"type_one_error": at_least, "e_value": doubling_e_value(n, x, p)},
        zone=zone,
        cumulative=cumulative,
        multiplier_1996=multipliers["1996"],
        multiplier_frtb=multipliers["frtb"],
        addon_1996=_addon(multipliers["1996"], "1996"),
        addon_frtb=_addon(multipliers["frtb"], "frtb"),
    )


def _addon(multiplier: float | None, rules: Rules) -> float | None:
    return None if multiplier is None else round(multiplier - _MULTIPLIERS[rules][0], 2)


@overload
def basel_zone(*, n: int, x: int, p: float, alpha: float = ...) -> BaselOutcome: ...
@overload
def basel_zone(
    *, hits: HitSeries | npt.ArrayLike, p: float | None = ..., horizon: None = ..., alpha: float = ...
) -> BaselOutcome: ...
@overload
def basel_zone(
    *, hits: HitSeries | npt.ArrayLike, p: float | None = ..., horizon: float, alpha: float = ...
) -> OffsetOutcomes: ...
def basel_zone(
    *,
    n: int | None = None,
    x: int | None = None,
    p: float | None = None,
    hits: Any = None,
    horizon: float | None = None,
    alpha: float = 0.05,
) -> BacktestTest | OffsetOutcomes:
    """Return the Basel traffic light: zone, F(x), P(X ≥ x), and for 250 days at 99 % the multipliers.

    Parameters
    ----------
    n, x : int, optional
        Observations and hits.
    p : float, optional
        Tail probability in (0, 0.5]; a HitSeries brings its own.
    hits : HitSeries or array-like of bool, shape (n,), optional
        In place of the counts. NaN is refused. A plain array is taken as free of overlap.
    horizon : float, optional
        Days. Needed where hits overlap: each non-overlapping offset then gets its own light.
    alpha : float
        Level of ``decision``, in (0, 1); the zones do not depend on it.

    Returns
    -------
    BaselOutcome or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds ``type_one_error`` P(X ≥ x) and ``e_value``.

    Raises
    ------
    ParameterError, ConventionError, SchemaError, DataGapError
        As in :func:`pmkit.backtest.var_tests.kupiec`.

    Notes
    -----
    Green F(x) < 95 %, yellow 95 % ≤ F(x) < 99.99 %, red F(x) ≥ 99.99 %, with F of Binomial(n, p). One-sided:
    too few hits are green. Multipliers and add-ons are filled in for n = 250 and p = 0.01 alone and None
    otherwise.

    References
    ----------
    Basel Committee (1996), section III and table 2.

    Examples
    --------
    >>> light = basel_zone(n=250, x=7, p=0.01)
    >>> light.zone, round(light.cumulative, 6), round(light.p_exact, 6), light.multiplier_1996
    ('yellow', 0.995975, 0.013701, 3.65)
    """
    level = check_alpha(alpha)
    samples = read_samples(hits=hits, p=p, horizon=horizon, counts={"n": n, "x": x})
    return collect([_light(sample, level) for sample in samples], horizon)
