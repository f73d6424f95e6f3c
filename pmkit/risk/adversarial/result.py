"""A scenario that was searched for: where it is, what it costs, how plausible it is and how it was found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.risk.adversarial.ball import Climb, Loss
from pmkit.risk.adversarial.ellipsoid import Ellipsoid
from pmkit.scenarios.scenario_set import ScenarioSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FoundScenario", "alignment_of", "optima_table"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class FoundScenario(Result):
    """The worst scenario of an ellipsoid, or the most likely one that loses a given amount.

    Attributes
    ----------
    question : {"worst scenario", "reverse stress"}
    loss : float
        Loss by full revaluation in the numeraire, positive.
    distance : float
        Mahalanobis distance of the scenario from no move.
    radius : float
        Of the ball that was searched.
    moves : pandas.Series
        Move of each factor, in the units of the covariance.
    scenarios : ScenarioSet
        The scenario alone, to revalue, explain or combine.
    ball : Ellipsoid
        Covariance and conventions of the moves.
    numeraire : str
    target : float
        Loss that was asked for; NaN for a worst scenario.
    evaluations : int
        Scenarios revalued.
    best_sampled : float
        For a worst scenario, the largest loss among the scattered points before any step; for a reverse
        stress, the smallest distance among those that lose enough, infinite where none does.
    alignment : float
        Cosine of the angle between the scenario and the gradient of the loss, 1 at a smooth optimum on the
        surface; NaN inside the ball.
    optima : pandas.DataFrame
        End of every local search, best first: loss, distance, whether it came to rest.
    status : {"ok", "not_converged", "unreachable", "always"}
        ``unreachable``: nothing inside the radius loses the target, and the scenario is the worst there.
        ``always``: no move at all loses it.
    """

    question: str
    loss: float
    distance: float
    radius: float
    moves: pd.Series
    scenarios: ScenarioSet
    ball: Ellipsoid
    numeraire: str
    evaluations: int
    best_sampled: float
    alignment: float
    optima: pd.DataFrame
    status: str
    target: float = math.nan
    provenance: Provenance = field(default_factory=lambda: Provenance(method="risk.worst_scenario"))
    references: tuple[str, ...] = ("breuer2009", "studer1999", "more1983", "glasserman2015")

    @property
    def probability_inside(self) -> float:
        """Share of normal scenarios nearer than this one."""
        return self.ball.probability(self.distance)

    @property
    def gain(self) -> float:
        """What the steps added to the best scattered point, as a share of it; NaN for a reverse stress."""
        if self.question != "worst scenario" or not self.best_sampled > 0.0:
            return math.nan
        return self.loss / self.best_sampled - 1.0

    @property
    def contributions(self) -> pd.Series:
        """Share of each factor in the squared distance of its own move, as if it had come alone.

        ``(x_i / sd_i)^2`` over their sum: which factors moved far for their own volatility.
        """
        own = (self.moves.to_numpy() / self.ball.scale) ** 2
        total = float(np.add.reduce(own))
        return pd.Series(own / total if total > 0.0 else own, index=self.moves.index, name="share")

    def check(self) -> None:
        """Raise where the moves do not have the distance, or a reached target is missed by 0.1 per cent."""
        again = float(self.ball.distance(self.moves.to_numpy()[None, :])[0])
        if abs(again - self.distance) > 1e-6 * max(self.radius, 1.0):
            raise PmkitError(
                f"the moves lie {again} away, not {self.distance}", "agreement", "report this as a bug"
            )
        if self.status == "ok" and abs(self.loss - self.target) > 1e-3 * abs(self.target):
            raise PmkitError(f"loss {self.loss} for {self.target}", "within 0.1 %", "report this as a bug")

    def to_frame(self) -> pd.DataFrame:
        """Return one row a factor: move, standard deviation, standardised move, share."""
        return pd.DataFrame(
            {
                "move": self.moves,
                "sd": self.ball.covariance.sd,
                "in_sd": self.moves.to_numpy() / self.ball.scale,
                "share": self.contributions,
            }
        )

    def summary(self) -> pd.DataFrame:
        """Return loss, distance, probability, effort and the moves of the four most moved factors."""
        rows: dict[str, Any] = {f"loss, {self.numeraire}": self.loss}
        if math.isfinite(self.target):
            rows["loss asked for"] = self.target
        rows |= {
            "Mahalanobis distance": self.distance,
            "normal scenarios nearer": self.probability_inside,
            "radius searched": self.radius,
            "scenarios revalued": self.evaluations,
            "best of the scattered points": self.best_sampled,
            "status": self.status,
        }
        order = self.contributions.sort_values(ascending=False, kind="stable").index[:4]
        rows |= {str(label): float(self.moves[label]) for label in order}
        frame = pd.DataFrame({"value": rows})
        frame.index.name = self.question
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and the moves as JSON-ready objects."""
        names = ("question", "loss", "target", "distance", "radius", "evaluations", "best_sampled", "status")
        record = {name: getattr(self, name) for name in names}
        record |= {"probability_inside": self.probability_inside, "numeraire": self.numeraire}
        record["moves"] = {str(k): float(v) for k, v in self.moves.items()}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the move of every factor in its own standard deviations."""
        axes = new_axes(ax)
        frame = self.to_frame()
        axes.barh([str(label) for label in frame.index], frame["in_sd"].to_numpy())
        axes.axvline(0.0, color="black", linewidth=0.8)
        axes.invert_yaxis()
        title = f"{self.question}: loss {self.loss:,.6g} {self.numeraire}, distance {self.distance:.3g}"
        axes.set(xlabel="move, own standard deviations", title=title)
        return axes


def optima_table(climb: Climb) -> pd.DataFrame:
    """Return the end of every local search, largest loss first."""
    frame = pd.DataFrame(
        {
            "loss": climb.losses,
            "distance": np.sqrt(np.add.reduce(climb.points**2, axis=1)),
            "at_rest": climb.at_rest,
        }
    )
    return frame.sort_values("loss", ascending=False, kind="stable").reset_index(drop=True)


def alignment_of(loss: Loss, point: FloatArray, radius: float) -> float:
    """Return the cosine between a point and the gradient of the loss there; NaN where one of them is 0."""
    step = 1e-4 * radius
    axes = step * np.eye(point.size)
    found = loss(np.concatenate([point + axes, point - axes]))
    slope = (found[: point.size] - found[point.size :]) / (2.0 * step)
    sizes = [math.sqrt(float(np.add.reduce(v**2))) for v in (slope, point)]
    return float(np.add.reduce(slope * point)) / (sizes[0] * sizes[1]) if min(sizes) > 0.0 else math.nan
