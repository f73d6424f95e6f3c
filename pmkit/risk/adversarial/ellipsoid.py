"""The ellipsoids of equally plausible moves of a factor covariance, and how a move becomes a scenario."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.types import Dynamics, FloatArray
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios import Factor, FactorCovariance, ScenarioSet
from pmkit.scenarios.factor_covariance import check_sizes
from pmkit.scenarios.inputs import check_kind

__all__ = ["Ellipsoid", "scenario_covariance"]

#: eigenvalues of a correlation matrix below this are rounding
_ZERO = 1e-10


@dataclass(frozen=True, kw_only=True, eq=False)
class Ellipsoid:
    """Moves of the factors by their Mahalanobis distance from no move, and the conventions to apply them.

    Attributes
    ----------
    covariance : FactorCovariance
        Of the factor moves over its horizon.
    dynamics : {"sticky_strike", "sticky_moneyness", "sticky_delta"}
        What a spot move does to the smile.
    horizon_days : float
        Days by which the account ages in a scenario; 0 for instantaneous moves.
    unit : {"log", "relative"}
        How moves of spot and vol are read: multiply by exp(x), or by 1 + x.
    min_vol_up : float
        Floor of the shocked vol where the vol move is positive, decimal; 0 for none.

    Notes
    -----
    A scenario is ``x = L z`` with ``L L' = C``; ``|z|`` is its Mahalanobis distance. The ball of radius r in
    z holds the share ``chi2(r^2)`` of normal scenarios, with ``rank`` degrees of freedom.

    Examples
    --------
    >>> spot = (Factor("spot", "BTC"),)
    >>> cov = FactorCovariance(factors=spot, matrix=np.array([[0.0016]]), horizon_days=1.0)
    >>> ball = Ellipsoid(covariance=cov, dynamics="sticky_strike", horizon_days=1.0)
    >>> ball.rank, round(ball.radius(0.99), 4)
    (1, 2.5758)
    """

    covariance: FactorCovariance
    dynamics: Dynamics
    horizon_days: float
    unit: Literal["log", "relative"] = "log"
    min_vol_up: float = 0.0

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors that move."""
        return self.covariance.factors

    @property
    def labels(self) -> list[str]:
        """Their names."""
        return [f.label for f in self.factors]

    @cached_property
    def scale(self) -> FloatArray:
        """Standard deviation of each factor, 1 where it does not vary, shape (factors,)."""
        sd = self.covariance.sd
        return np.where(sd > 0.0, sd, 1.0)

    @cached_property
    def root(self) -> FloatArray:
        """Factor moves of one unit of each independent direction, shape (factors, rank)."""
        matrix = self.covariance.matrix / self.scale[:, None] / self.scale[None, :]
        values, vectors = np.linalg.eigh(matrix)
        kept = np.flatnonzero(values > _ZERO * float(values[-1]))[::-1]
        columns = vectors[:, kept] * np.sqrt(values[kept])
        # eigenvectors have no sign of their own; the largest entry is made positive
        heads = columns[np.argmax(np.abs(columns), axis=0), np.arange(kept.size)]
        root: FloatArray = self.scale[:, None] * columns * np.where(heads < 0.0, -1.0, 1.0)
        return root

    @property
    def rank(self) -> int:
        """Independent directions."""
        return int(self.root.shape[1])

    def radius(self, probability: float) -> float:
        """Return the Mahalanobis radius that holds the share ``probability`` of normal scenarios."""
        from scipy.special import chdtri

        if isinstance(probability, bool) or not 0.0 < probability < 1.0:
            raise ParameterError(f"probability is {probability!r}", "between 0 and 1", "0.99 is usual")
        return math.sqrt(float(chdtri(self.rank, 1.0 - probability)))

    def probability(self, radius: float) -> float:
        """Return the share of normal scenarios inside a Mahalanobis radius."""
        from scipy.special import chdtr

        return float(chdtr(self.rank, radius**2))

    def moves(self, points: FloatArray) -> FloatArray:
        """Return factor moves of points in the ball, shape (n, factors) from (n, rank)."""
        total = np.zeros((points.shape[0], len(self.factors)))
        for column, direction in enumerate(self.root.T):
            total += points[:, column, None] * direction
        return total

    def distance(self, moves: FloatArray) -> FloatArray:
        """Return the Mahalanobis distance of factor moves, shape (n,) from (n, factors).

        Infinite where a move is none of the covariance's: outside the span of its directions.
        """
        scaled = np.atleast_2d(np.asarray(moves, dtype=np.float64)) / self.scale
        root = self.root / self.scale[:, None]
        points: FloatArray = np.ascontiguousarray(np.linalg.lstsq(root, scaled.T, rcond=None)[0].T)
        missed = np.abs(self.moves(points) / self.scale - scaled).max(axis=1)
        inside = missed <= 1e-6 * np.maximum(np.abs(scaled).max(axis=1), 1e-300)
        return np.where(inside, np.sqrt(np.add.reduce(points**2, axis=1)), math.inf)

    def scenarios(self, points: FloatArray, labels: Sequence[str] | None = None) -> ScenarioSet:
        """Return points of the ball, shape (n, rank), as equally weighted scenarios."""
        return ScenarioSet(
            name="ellipsoid",
            factors=self.factors,
            shocks=self.moves(points),
            horizon_days=self.horizon_days,
            dynamics=self.dynamics,
            spot_unit=self.unit,
            vol_unit=self.unit,
            vol_term=self.covariance.vol_term,
            min_vol_up=self.min_vol_up,
            labels=None if labels is None else tuple(labels),
            provenance=self.covariance.provenance,
        )

    def check_reach(self, radius: float, snapshot: MarketSnapshot) -> None:
        """Raise where the ball has no radius, or moves what the snapshot lacks or what cannot move so far.

        Raises
        ------
        ParameterError
            A radius that is not positive, a unit of another name, or a relative move that reaches -1.
        DataGapError
            A factor of an underlying that is not in the snapshot.
        ConventionError
            A fixing after the end of the horizon, or a covariance in percent.
        """
        if isinstance(radius, bool) or not isinstance(radius, (int, float)) or not 0.0 < radius < math.inf:
            raise ParameterError(
                f"radius is {radius!r}", "a positive Mahalanobis distance, such as 3.0", "correct it"
            )
        if self.unit not in ("log", "relative"):
            raise ParameterError(f"unit is {self.unit!r}", "'log' or 'relative'", "name one of the two")
        check_sizes(self.covariance)
        end = snapshot.as_of + pd.Timedelta(days=self.horizon_days)
        for factor, sd in zip(self.factors, self.covariance.sd, strict=True):
            if factor.kind not in ("rate", "fx") and factor.underlying not in snapshot.underlyings:
                raise DataGapError(
                    f"the covariance moves {factor.label!r} and the snapshot has no {factor.underlying}",
                    f"factors of {', '.join(snapshot.underlyings)}",
                    "leave the factor out, or load a snapshot that holds it",
                )
            if factor.kind == "fixing" and factor.expiry is not None and factor.expiry > end:
                raise ConventionError(
                    f"the covariance moves {factor.label!r} and the scenarios end at {end.isoformat()}",
                    "fixings inside the horizon",
                    "give horizon_days, or a covariance without the fixing",
                )
            # differences are taken a little outside the surface
            if (
                self.unit == "relative"
                and factor.kind in ("spot", "vol")
                and 1.01 * radius * float(sd) >= 1.0
            ):
                raise ParameterError(
                    f"radius {radius:g} takes {factor.label!r} to {-radius * float(sd):+.0%}",
                    "relative moves above -100 %",
                    "use log moves, or a smaller radius",
                )


def scenario_covariance(
    scenarios: ScenarioSet, *, factors: Sequence[Factor] | None = None
) -> FactorCovariance:
    """Return the weighted covariance of a scenario set's factor moves about no move, squared logs.

    Parameters
    ----------
    scenarios : ScenarioSet
        Historical, filtered or simulated, with moves in logs and a horizon.
    factors : sequence of Factor, optional
        Which to keep; all where None. A factor that never moves is left out.

    Returns
    -------
    FactorCovariance

    Raises
    ------
    DataGapError
        A factor that the set does not hold.
    ConventionError
        Moves that are not in logs.
    ParameterError
        Nothing moves, or a horizon of 0.

    Notes
    -----
    About no move, not about the mean: ellipsoids are centred where the account is now. With fewer scenarios
    than factors the matrix is singular, and only its own directions can be searched.

    Examples
    --------
    >>> from pmkit.scenarios import grid
    >>> scen = grid([-0.1, 0.1], horizon_days=1.0, dynamics="sticky_strike", spot_unit="log",
    ...     vol_unit="log", underlyings=["BTC"])
    >>> scenario_covariance(scen).matrix.round(6).tolist()
    [[0.01]]
    """
    check_kind("scenarios", scenarios, ScenarioSet, "pmkit.scenarios.historical or monte_carlo")
    wanted = scenarios.factors if factors is None else tuple(factors)
    missing = [f for f in wanted if f not in scenarios.factors]
    if missing:
        raise DataGapError(
            f"scenarios {scenarios.name!r} hold no factor {missing[0].label!r}",
            f"some of {', '.join(f.label for f in scenarios.factors)}",
            "leave it out",
        )
    if "relative" in (scenarios.spot_unit, scenarios.vol_unit):
        raise ConventionError(
            f"scenarios {scenarios.name!r} hold relative moves", "moves in logs", "build the set in logs"
        )
    columns = {f: np.ascontiguousarray(scenarios.shocks[:, scenarios.factors.index(f)]) for f in wanted}
    kept = [f for f in wanted if columns[f].any()]
    if not kept:
        raise ParameterError("no factor moves", "scenarios that move something", "take another set")
    matrix = np.empty((len(kept), len(kept)))
    for i, one in enumerate(kept):
        for j, two in enumerate(kept[: i + 1]):
            value = float(np.add.reduce(scenarios.weights * columns[one] * columns[two]))
            matrix[i, j] = matrix[j, i] = value
    return FactorCovariance(
        factors=tuple(kept),
        matrix=matrix,
        horizon_days=scenarios.horizon_days,
        vol_term=scenarios.vol_term,
        n_independent=scenarios.n_independent,
        provenance=Provenance(
            method="risk.scenario_covariance",
            data={"scenarios": scenarios.fingerprint, "matrix": fingerprint(matrix)},
            seed=scenarios.provenance.seed,
            simulated=scenarios.provenance.simulated,
        ),
        notes=(f"second moments of {len(scenarios)} scenarios {scenarios.name!r}",),
    )
