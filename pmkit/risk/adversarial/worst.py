"""The worst scenario of a Mahalanobis ellipsoid, by full revaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.progress import ProgressBar
from pmkit.core.provenance import Provenance
from pmkit.core.types import Dynamics, FloatArray
from pmkit.instruments import Portfolio
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk.adversarial.ball import Climb, Loss, ascend, pick_starts, sobol_in_ball
from pmkit.risk.adversarial.ellipsoid import Ellipsoid
from pmkit.risk.adversarial.losses import AccountLoss
from pmkit.risk.adversarial.result import FoundScenario, alignment_of, optima_table
from pmkit.risk.collateral import CollateralAccount
from pmkit.scenarios import FactorCovariance
from pmkit.scenarios.inputs import check_kind

__all__ = ["ball_of", "check_search", "climb_from_all_over", "found_scenario", "worst_scenario"]


def worst_scenario(
    held: Portfolio | CollateralAccount,
    snapshot: MarketSnapshot,
    covariance: FactorCovariance,
    radius: float | None = None,
    *,
    dynamics: Dynamics,
    probability: float | None = None,
    horizon_days: float | None = None,
    unit: Literal["log", "relative"] = "log",
    min_vol_up: float = 0.0,
    balances: Mapping[str, float] | None = None,
    numeraire: str = "USD",
    n_points: int = 8192,
    starts: int = 12,
    max_steps: int = 60,
    seed: int = 0,
    progress: bool | None = None,
) -> FoundScenario:
    """Return the scenario of an ellipsoid in which an account loses most, and that loss in the numeraire.

    Parameters
    ----------
    held : Portfolio or Account
        Positions; an account brings its balances along.
    snapshot : MarketSnapshot
    covariance : FactorCovariance
        Of the factor moves: :func:`pmkit.scenarios.factor_covariance` or :func:`scenario_covariance`.
    radius : float, optional
        Mahalanobis distance of the surface.
    dynamics : {"sticky_strike", "sticky_moneyness", "sticky_delta"}
        What a spot move does to the smile.
    probability : float, optional
        Instead of the radius: share of normal scenarios inside, as 0.99.
    horizon_days : float, optional
        Days by which the account ages; the horizon of the covariance where None, 0 for instantaneous moves.
    unit : {"log", "relative"}
        How moves of spot and vol are read.
    min_vol_up : float
        Floor of the shocked vol where the vol move is positive, decimal.
    balances : mapping of str to float, optional
        Collateral in units of each currency, with a portfolio alone.
    numeraire : str
    n_points : int
        Scattered points before the steps, a power of 2 from 64.
    starts : int
        Local searches, from the worst scattered points that lie apart, 1 or more.
    max_steps : int
        Steps of each local search.
    seed : int
        Of the scattered points.
    progress : bool, optional
        Whether to show a progress bar; where left out, in a terminal, after two seconds.

    Returns
    -------
    FoundScenario
        Status ``not_converged`` where the best search had not come to rest.

    Raises
    ------
    ParameterError
        A radius that is not positive, both or neither of radius and probability, a count out of range, or
        relative moves that reach -100 per cent.
    DataGapError
        A factor of an underlying that the snapshot lacks, no positions, or whatever revaluation needs.
    ConventionError
        A contract settles inside the horizon and the covariance holds no fixing for it, or a fixing lies
        after the horizon.

    Notes
    -----
    Largest loss over ``x = L z, |z| <= radius``. Unlike stress lists, nothing plausible is left out; unlike a
    quantile, only the one scenario counts. Every loss is a full revaluation, ``starts (rank^2 + 3 rank)``
    scenarios a step; the search is local, so ``best_sampled`` and ``optima`` show how much it could have
    missed. A tenth of a second for 70 contracts and 15 factors. The radius that holds a given probability
    grows with the number of factors, relevant or not: leave out what the account does not hold.

    References
    ----------
    Breuer et al. (2009), section 2; Studer (1999); Moré and Sorensen (1983).

    Examples
    --------
    >>> from pmkit.scenarios import Factor
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 100, "as_of": "2026-08-01"}
    >>> spot = (Factor("spot", "BTC"),)
    >>> cov = FactorCovariance(factors=spot, matrix=np.array([[0.0016]]), horizon_days=1.0)
    >>> book = Portfolio.from_records([row])  # loses 1000 (1 - exp(-0.12))
    >>> round(worst_scenario(book, snap, cov, 3.0, dynamics="sticky_strike").loss, 4)
    113.0796
    """
    if (radius is None) == (probability is None):
        raise ParameterError(
            f"radius is {radius!r} and probability is {probability!r}", "one of the two", "drop or add one"
        )
    ball = ball_of(covariance, dynamics, horizon_days, unit, min_vol_up)
    reach = ball.radius(probability) if probability is not None else radius
    assert reach is not None
    ball.check_reach(reach, snapshot)
    check_search(n_points, starts, max_steps)
    with ProgressBar("scenarios revalued", None, progress) as bar:
        loss = AccountLoss(held, snapshot, ball, balances, numeraire, bar)
        climb, sampled = climb_from_all_over(loss, ball.rank, reach, n_points, starts, max_steps, seed)
    best = int(np.argmax(climb.losses))
    return found_scenario(
        "worst scenario",
        loss,
        climb.points[best],
        float(climb.losses[best]),
        reach,
        best_sampled=sampled,
        optima=optima_table(climb),
        status="ok" if climb.at_rest[best] else "not_converged",
        seed=seed,
    )


def ball_of(
    covariance: FactorCovariance,
    dynamics: Dynamics,
    horizon_days: float | None,
    unit: Literal["log", "relative"],
    min_vol_up: float,
) -> Ellipsoid:
    """Return the ellipsoid of a covariance with its own horizon where none is given."""
    check_kind("covariance", covariance, FactorCovariance, "factor_covariance or scenario_covariance")
    days = covariance.horizon_days if horizon_days is None else horizon_days
    return Ellipsoid(
        covariance=covariance, dynamics=dynamics, horizon_days=days, unit=unit, min_vol_up=min_vol_up
    )


def climb_from_all_over(
    loss: Loss, rank: int, radius: float, n_points: int, starts: int, max_steps: int, seed: int
) -> tuple[Climb, float]:
    """Return the ends of local searches from the worst of scattered points, and the loss of the worst."""
    points = np.concatenate(
        [sobol_in_ball(rank, n_points, radius, seed), radius * np.eye(rank), -radius * np.eye(rank)]
    )
    found = loss(points)
    chosen = pick_starts(points, found, starts, 0.5 * radius)
    return ascend(loss, chosen, radius, max_steps), float(found.max())


def check_search(n_points: Any, starts: Any, max_steps: Any) -> None:
    """Raise where the effort of a search is out of range."""
    for name, value, low in (("n_points", n_points, 64), ("starts", starts, 1), ("max_steps", max_steps, 1)):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < low or (name == "n_points" and value & (value - 1)):
            power = ", a power of 2" if name == "n_points" else ""
            raise ParameterError(f"{name} is {value!r}", f"a whole number from {low}{power}", "correct it")


def found_scenario(
    question: str,
    loss: AccountLoss,
    point: FloatArray,
    value: float,
    radius: float,
    *,
    best_sampled: float,
    optima: pd.DataFrame,
    status: str,
    seed: int,
    target: float = math.nan,
) -> FoundScenario:
    """Return a point of the ball as a result."""
    ball = loss.ball
    label = f"{question}, loss {value:,.6g} {loss.numeraire}"
    scenarios = ball.scenarios(point[None, :], [label])
    distance = math.sqrt(float(np.add.reduce(point**2)))
    inside = distance < radius * (1.0 - 1e-6) and question == "worst scenario"
    alignment = math.nan if inside else alignment_of(loss, point, radius)
    return FoundScenario(
        question=question,
        loss=value,
        distance=distance,
        radius=float(radius),
        moves=pd.Series(scenarios.shocks[0], index=ball.labels, name="move"),
        scenarios=scenarios,
        ball=ball,
        numeraire=loss.numeraire,
        target=target,
        evaluations=loss.evaluations,
        best_sampled=best_sampled,
        alignment=alignment,
        optima=optima,
        status=status,
        provenance=Provenance(
            method="risk.worst_scenario" if math.isnan(target) else "risk.reverse_stress",
            data={"snapshot": loss.snapshot.fingerprint, "scenario": scenarios.fingerprint},
            parameters={"radius": float(radius), "target": None if math.isnan(target) else target},
            seed=seed,
            simulated=ball.covariance.provenance.simulated,
        ),
    )
