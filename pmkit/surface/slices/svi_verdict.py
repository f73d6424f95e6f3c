"""What the exact criteria say of a raw SVI slice between its neighbours in time, and what may be mended."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pmkit.surface.arbitrage.butterfly import ButterflyReport, butterfly
from pmkit.surface.arbitrage.calendar import CalendarReport, calendar
from pmkit.surface.slices.svi import RawSvi

__all__ = ["LITTLE", "Between", "Verdict", "judged", "mended"]

#: Slices of an earlier and of a later expiry; None where there is none.
Between = tuple[RawSvi | None, RawSvi | None]

#: Share of its size by which a search may miss a constraint and be mended rather than sent on.
LITTLE = 1e-3


@dataclass(frozen=True)
class Verdict:
    """What the exact criteria say of a slice between its neighbours in time."""

    wings: ButterflyReport
    floor: CalendarReport | None
    ceiling: CalendarReport | None

    @property
    def free(self) -> bool:
        """True where the slice admits neither kind of arbitrage."""
        return self.wings.free and all(one is None or one.free for one in (self.floor, self.ceiling))

    def miss(self, level: float) -> float:
        """Return by how much order in time is missed, in units of the level or of slope."""
        reports = [one for one in (self.floor, self.ceiling) if one is not None and not one.free]
        found = [-one.min_dw / level for one in reports if math.isfinite(one.min_dw)]
        found += [-min(one.slopes) for one in reports]
        return max(found, default=0.0)

    def worst(self, svi: RawSvi) -> list[float]:
        """Return finite places at which a constraint fails."""
        found = [self.wings.k_min_g]
        intervals = list(self.wings.violations)
        for one in (self.floor, self.ceiling):
            if one is not None:
                found.append(one.k_min_dw)
                intervals += one.violations
        for low, high in intervals:
            low, high = max(low, svi.m - 1e4 * svi.sigma), min(high, svi.m + 1e4 * svi.sigma)
            found += [low, 0.5 * (low + high), high]
        return [k for k in found if math.isfinite(k)]


def judged(svi: RawSvi, between: Between) -> Verdict:
    """Return the verdict on a slice between its neighbours."""
    floor, ceiling = between
    return Verdict(
        wings=butterfly(svi),
        floor=calendar(floor, svi) if floor else None,
        ceiling=calendar(svi, ceiling) if ceiling else None,
    )


def mended(svi: RawSvi, verdict: Verdict, between: Between, level: float) -> RawSvi | None:
    """Return the slice cleared of the little that a search leaves, or None where more than that is missing.

    Wings that a neighbour's overtake are turned to its slope, the width is raised to its least admissible
    value, and the level is shifted by what order in time lacks; the exact criteria judge what comes out.
    """
    if verdict.free:
        return svi
    left, right = svi.slopes
    for side, one in zip((1.0, -1.0), between, strict=True):
        if one is not None:
            pick = max if side > 0.0 else min
            left, right = pick(left, one.slopes[0]), pick(right, one.slopes[1])
    if (left, right) != svi.slopes:
        if max(abs(left - svi.slopes[0]), abs(right - svi.slopes[1])) > LITTLE * (left + right):
            return None
        least = 1e-9 * level - svi.sigma * math.sqrt(left * right)
        svi = RawSvi(
            a=max(svi.a, least), b=0.5 * (left + right), rho=(right - left) / (left + right), m=svi.m,
            sigma=svi.sigma,
        )  # fmt: skip
        verdict = judged(svi, between)
    if verdict.wings.margin <= -LITTLE:
        return None
    if not verdict.wings.free:
        ratio = (1.0 + 1e-9) * verdict.wings.sigma_star / svi.sigma
        svi = replace(svi, a=ratio * svi.a, m=ratio * svi.m, sigma=ratio * svi.sigma)
        verdict = judged(svi, between)
    lift = 0.0
    for side, report in ((1.0, verdict.floor), (-1.0, verdict.ceiling)):
        if report is not None and not report.free:
            if not report.min_dw > -LITTLE * level:
                return None
            lift -= side * (1.0 + 1e-6) * report.min_dw
    if svi.min_variance + lift <= 0.0:
        return None
    moved = replace(svi, a=svi.a + lift)
    return moved if judged(moved, between).free else None
