"""Reverse stress: the most likely scenario that loses a given amount, by full revaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.progress import ProgressBar
from pmkit.core.types import Dynamics, FloatArray
from pmkit.instruments import Portfolio
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk.adversarial.ball import Climb, Loss, ascend, pick_starts, sobol_in_ball
from pmkit.risk.adversarial.losses import AccountLoss
from pmkit.risk.adversarial.result import FoundScenario, optima_table
from pmkit.risk.adversarial.worst import ball_of, check_search, climb_from_all_over, found_scenario
from pmkit.risk.collateral import CollateralAccount
from pmkit.scenarios import FactorCovariance

__all__ = ["NearestLoss", "nearest_loss", "reverse_stress"]

#: points on a ray that are valued together
_CUTS = 32
#: a round that brings a point nearer by less than this share is the last
_ENOUGH = 1e-9


def reverse_stress(
    held: Portfolio | CollateralAccount,
    snapshot: MarketSnapshot,
    covariance: FactorCovariance,
    loss: float,
    *,
    dynamics: Dynamics,
    max_radius: float = 8.0,
    horizon_days: float | None = None,
    unit: Literal["log", "relative"] = "log",
    min_vol_up: float = 0.0,
    balances: Mapping[str, float] | None = None,
    numeraire: str = "USD",
    n_points: int = 8192,
    starts: int = 8,
    max_steps: int = 40,
    seed: int = 0,
    progress: bool | None = None,
) -> FoundScenario:
    """Return the scenario of least Mahalanobis distance in which an account loses ``loss``.

    Parameters
    ----------
    held : Portfolio or Account
        Positions; an account brings its balances along.
    snapshot : MarketSnapshot
    covariance : FactorCovariance
        Of the factor moves: :func:`pmkit.scenarios.factor_covariance` or :func:`scenario_covariance`.
    loss : float
        Positive, in the numeraire: the margin, or the margin with its fund, to be exhausted.
    max_radius : float
        Distance up to which to look.
    dynamics, horizon_days, unit, min_vol_up, balances, numeraire, n_points, seed
        As for :func:`worst_scenario`.
    starts : int
        Candidates that are brought nearer together.
    max_steps : int
        Rounds of bringing nearer.
    progress : bool, optional
        Whether to show a progress bar; where left out, in a terminal, after two seconds.

    Returns
    -------
    FoundScenario
        Its loss agrees with the one asked for to far less than 0.1 per cent. Status ``unreachable`` where
        nothing inside ``max_radius`` loses so much: the scenario is then the worst there. ``always`` where no
        move loses it already.

    Raises
    ------
    ParameterError
        A loss or a radius that is not positive, a count out of range, or relative moves that reach -100 per
        cent.
    DataGapError, ConventionError
        As :func:`worst_scenario`.

    Notes
    -----
    Smallest ``|z|`` with ``loss(L z) >= target``. A linear book with derivatives ``delta`` has it at
    ``x = -C delta loss/(delta' C delta)``, distance ``loss / sqrt(delta' C delta)``. Otherwise: scattered
    points that lose enough are pulled back along their rays to the first place where the loss is the target;
    then, in rounds, the loss is raised inside the ball of that distance and the gain is spent on pulling back
    again. Distances only fall.

    References
    ----------
    Glasserman et al. (2015), section 2; Breuer et al. (2009), section 2.

    Examples
    --------
    >>> from pmkit.scenarios import Factor
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 100, "as_of": "2026-08-01"}
    >>> spot = (Factor("spot", "BTC"),)
    >>> cov = FactorCovariance(factors=spot, matrix=np.array([[0.0016]]), horizon_days=1.0)
    >>> book = Portfolio.from_records([row])
    >>> found = reverse_stress(book, snap, cov, 113.0796, dynamics="sticky_strike")
    >>> round(found.distance, 4), found.status
    (3.0, 'ok')
    """
    if isinstance(loss, bool) or not isinstance(loss, (int, float)) or not 0.0 < loss < math.inf:
        raise ParameterError(
            f"loss is {loss!r}", "a positive amount in the numeraire", "give the margin to exhaust"
        )
    ball = ball_of(covariance, dynamics, horizon_days, unit, min_vol_up)
    ball.check_reach(max_radius, snapshot)
    check_search(n_points, starts, max_steps)
    with ProgressBar("scenarios revalued", None, progress) as bar:
        account = AccountLoss(held, snapshot, ball, balances, numeraire, bar)
        search = nearest_loss(account, ball.rank, float(loss), max_radius, n_points, starts, max_steps, seed)
    best = search.best
    return found_scenario(
        "reverse stress",
        account,
        search.climb.points[best],
        float(search.climb.losses[best]),
        max_radius,
        best_sampled=search.sampled,
        optima=search.table(),
        status=search.status,
        seed=seed,
        target=float(loss),
    )


class NearestLoss:
    """What a search for the nearest loss ended with.

    Parameters
    ----------
    climb : Climb
        Ends of the local searches.
    sampled : float
        Smallest distance among the scattered points that lose enough.
    status : str
        As of :class:`FoundScenario`.
    """

    def __init__(self, climb: Climb, sampled: float, status: str) -> None:
        self.climb, self.sampled, self.status = climb, sampled, status

    @property
    def distances(self) -> FloatArray:
        """Distance of each end from the centre."""
        found: FloatArray = np.sqrt(np.add.reduce(self.climb.points**2, axis=1))
        return found

    @property
    def best(self) -> int:
        """The worst point where the target is out of reach, else the nearest."""
        unreachable = self.status == "unreachable"
        return int(np.argmax(self.climb.losses) if unreachable else np.argmin(self.distances))

    def table(self) -> pd.DataFrame:
        """Return the end of every search, best first."""
        frame = optima_table(self.climb)
        if self.status == "unreachable":
            return frame
        return frame.sort_values("distance", kind="stable").reset_index(drop=True)


def nearest_loss(
    loss: Loss,
    rank: int,
    target: float,
    max_radius: float,
    n_points: int,
    starts: int,
    max_steps: int,
    seed: int,
) -> NearestLoss:
    """Return points of a ball that lose ``target`` and are locally nearest to its centre.

    Parameters
    ----------
    loss : callable
        From points, shape (n, rank), to losses.
    rank : int
    target : float
        Positive.
    max_radius, n_points, starts, max_steps, seed
        As for :func:`reverse_stress`.
    """
    centre = np.zeros((1, rank))
    if float(loss(centre)[0]) >= target:
        still = Climb(centre, loss(centre), np.zeros((1, rank)), np.array([True]))
        return NearestLoss(still, 0.0, "always")
    points = sobol_in_ball(rank, n_points, max_radius, seed, even_radii=True)
    found = loss(points)
    enough = found >= target
    sampled = float(np.sqrt(np.add.reduce(points[enough] ** 2, axis=1)).min()) if enough.any() else math.inf
    if not enough.any():
        # perhaps only a corner loses so much: ask the worst scenario of the ball
        climb, _ = climb_from_all_over(loss, rank, max_radius, n_points, starts, max_steps, seed)
        if float(climb.losses.max()) < target:
            return NearestLoss(climb, sampled, "unreachable")
        begun = climb.points[climb.losses >= target]
    else:
        # linear extrapolation says how near each point could be brought, whether it loses enough or not
        norm = np.sqrt(np.add.reduce(points**2, axis=1))
        reach = norm * target / np.where(found > 0.0, found, 1e-300)
        worth = np.where(enough, -np.minimum(norm, reach), -math.inf)
        kept = np.flatnonzero(np.isfinite(worth))
        unit = points[kept] / norm[kept, None]
        directions = pick_starts(unit, worth[kept], starts, 0.3)
        begun = np.array(
            [points[kept][int(np.argmin(np.add.reduce((unit - d) ** 2, axis=1)))] for d in directions]
        )
    nearest, losses = _pull_back(loss, begun, target)
    rested = np.zeros(len(nearest), dtype=bool)
    for _ in range(max_steps):
        moving = np.flatnonzero(~rested)
        if moving.size == 0:
            break
        radii = np.sqrt(np.add.reduce(nearest[moving] ** 2, axis=1))
        climb = ascend(loss, nearest[moving], radii, 2)
        nearer, worth_now = _pull_back(loss, climb.points, target)
        gained = radii - np.sqrt(np.add.reduce(nearer**2, axis=1))
        better = moving[gained > 0.0]
        nearest[better], losses[better] = nearer[gained > 0.0], worth_now[gained > 0.0]
        rested[moving] = gained <= _ENOUGH * radii
    search = NearestLoss(Climb(nearest, losses, np.zeros_like(nearest), rested), sampled, "ok")
    if not rested[search.best]:
        search.status = "not_converged"
    return search


def _pull_back(loss: Loss, points: FloatArray, target: float) -> tuple[FloatArray, FloatArray]:
    """Return the first points on the rays from the centre where the loss reaches the target, and the losses.

    Every call values a fan of points on all rays and keeps the first stretch that crosses.
    """
    m, rank = points.shape
    rows = np.arange(m)
    low, high = np.zeros(m), np.ones(m)
    worth = np.full(m, target)
    for _ in range(12):
        cuts = low[:, None] + (high - low)[:, None] * (np.arange(1, _CUTS + 1) / _CUTS)
        cuts[:, -1] = high
        found = loss((points[:, None, :] * cuts[:, :, None]).reshape(-1, rank)).reshape(m, _CUTS)
        # the end of the ray loses enough up to rounding
        first = np.where((found >= target).any(axis=1), np.argmax(found >= target, axis=1), _CUTS - 1)
        worth = found[rows, first]
        before = np.where(first > 0, cuts[rows, np.maximum(first - 1, 0)], low)
        low, high = before, cuts[rows, first]
        if float((high - low).max()) <= 1e-15 or float(np.abs(worth / target - 1.0).max()) <= 1e-12:
            break
    return points * high[:, None], worth
