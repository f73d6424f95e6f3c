"""The one shape in which every rule answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result, jsonable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Basis", "MarginResult", "Origin", "Step", "WorstScenario"]

Basis = Literal["pnl", "cash"]
Origin = Literal["published", "assumed", "data"]


class WorstScenario(NamedTuple):
    """The scenario that sets the requirement and the account's P&L in it, in the numeraire."""

    name: str
    pnl: float


class Step(NamedTuple):
    """One line of the calculation: clause of the rule's page, meaning, value, unit, published or assumed."""

    clause: str
    what: str
    value: float
    unit: str
    status: Origin = "published"


@dataclass(frozen=True, kw_only=True, repr=False)
class MarginResult(Result):
    """Initial and maintenance margin of an account under one rule.

    Attributes
    ----------
    rule, variant, account : str
    as_of : pandas.Timestamp
    param_set : str
        Id of the dated parameter set.
    param_set_age_days : float
        Days from the last date on which the parameters were observed to ``as_of``; 0 within the range.
    numeraire : str
        Currency of every amount here: USD or a coin. Chosen before the measure.
    im, mm : float
        Requirements as the rule states them, positive.
    basis : {"pnl", "cash"}
        ``cash``: the requirement carries the option premium, so that ``im_equity = im + net option value``.
    net_option_value : float
        Signed value of the options in the numeraire.
    equity : float
        Equity that the rule recognises, option value included, in the numeraire.
    collateral_treatment : str
        ``"revalued"``, ``"haircut"`` or ``"own coin only"``; never two at once.
    not_eligible : mapping of str to float
        Collateral that the rule does not count, by currency, in units of it.
    worst_scenario : WorstScenario
    scenario_vector : pandas.Series
        P&L of the account by scenario (named) in the numeraire; may be empty for rules without scenarios.
    addons : mapping of str to float
        Positive charges by name.
    steps : tuple of Step
    figures : mapping of str to object
        Further results by name, such as a ``RiskFigure`` with its errors.
    parts : mapping of str to MarginResult
        Results by currency where the rule margins each apart.
    warnings, notes : tuple of str
        Assumptions that bent, and what else a reader must know, in words.
    netting_benefit : float
        1 − im_equity / Σ im_equity of the lines alone under the same rule; NaN until it is computed.
    implied_level, mean_loss_beyond : float
        Share of a common scenario set whose loss exceeds ``im_equity``, and the mean loss beyond it; NaN
        until computed.
    """

    rule: str
    variant: str
    account: str
    as_of: pd.Timestamp
    param_set: str
    param_set_age_days: float
    numeraire: str
    im: float
    mm: float
    basis: Basis
    equity: float
    collateral_treatment: str
    worst_scenario: WorstScenario
    net_option_value: float = 0.0
    not_eligible: Mapping[str, float] = field(default_factory=dict)
    scenario_vector: pd.Series = field(default_factory=lambda: pd.Series(dtype="float64"))
    addons: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, MarginResult] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    state: Any = None
    netting_benefit: float = math.nan
    implied_level: float = math.nan
    mean_loss_beyond: float = math.nan
    provenance: Provenance = field(default_factory=lambda: Provenance(method="margin"))
    references: tuple[str, ...] = ()

    @property
    def im_equity(self) -> float:
        """Initial requirement against equity that includes option value: the basis on which rules compare."""
        return self.im + (self.net_option_value if self.basis == "cash" else 0.0)

    @property
    def mm_equity(self) -> float:
        """Maintenance requirement on the same basis as :attr:`im_equity`."""
        return self.mm + (self.net_option_value if self.basis == "cash" else 0.0)

    @property
    def excess(self) -> float:
        """Equity minus ``im_equity`` in the numeraire."""
        return self.equity - self.im_equity

    @property
    def margin_ratio(self) -> float:
        """``im_equity`` / equity; +inf where equity is not positive and something is required."""
        if self.parts:
            return max(part.margin_ratio for part in self.parts.values())
        if self.equity <= 0.0:
            return math.inf if self.im_equity > 0.0 else 0.0
        return self.im_equity / self.equity

    @property
    def status(self) -> str:
        """``ok``, ``below_im``, ``below_mm`` or ``insolvent``; the worst of the parts where there are any."""
        order = ("ok", "below_im", "below_mm", "insolvent")
        if self.parts:
            return max((part.status for part in self.parts.values()), key=order.index)
        if self.equity <= 0.0 and self.im_equity > 0.0:
            return "insolvent"
        if self.equity < self.mm_equity:
            return "below_mm"
        return "below_im" if self.equity < self.im_equity else "ok"

    def check(self) -> None:
        """Raise where an identity of the result fails."""
        if not (math.isfinite(self.im) and math.isfinite(self.mm)):
            raise PmkitError(f"im {self.im}, mm {self.mm}", "finite requirements", "report this as a bug")
        if self.mm > self.im + 1e-9 * max(1.0, abs(self.im)):
            raise PmkitError(f"mm {self.mm} above im {self.im}", "mm at most im", "report this as a bug")

    def explain(self) -> pd.DataFrame:
        """Return every step of the calculation: clause, value, unit, published or assumed."""
        steps = list(self.steps)
        frame = pd.DataFrame(steps, columns=list(Step._fields))
        frames = [frame.assign(part="")] if steps else []
        frames += [part.explain().assign(part=name) for name, part in self.parts.items()]
        return pd.concat(frames, ignore_index=True) if frames else frame.assign(part="")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON record of the command line; an infinite ratio is null, its status says why."""
        record = {
            "rule": self.rule,
            "variant": self.variant,
            "param_set": self.param_set,
            "param_set_age_days": self.param_set_age_days,
            "numeraire": self.numeraire,
            "basis": self.basis,
            "im": self.im,
            "mm": self.mm,
            "im_equity": self.im_equity,
            "equity": self.equity,
            "excess": self.excess,
            "margin_ratio": self.margin_ratio,
            "status": self.status,
            "implied_level": self.implied_level,
            "mean_loss_beyond": self.mean_loss_beyond,
            "netting_benefit": self.netting_benefit,
            "worst_scenario": {"name": self.worst_scenario.name, "pnl": self.worst_scenario.pnl},
            "addons": dict(self.addons),
            "net_option_value": self.net_option_value,
            "collateral_treatment": self.collateral_treatment,
            "not_eligible": dict(self.not_eligible),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }
        if self.parts:
            record["parts"] = {name: part.to_dict() for name, part in self.parts.items()}
        result: dict[str, Any] = jsonable(record)
        return result

    def to_frame(self) -> pd.DataFrame:
        """Return item and value, one row each, add-ons included."""
        record = self.to_dict()
        flat = {k: v for k, v in record.items() if not isinstance(v, (dict, list))}
        flat |= {f"addon {k}": v for k, v in self.addons.items()}
        flat["worst_scenario"] = self.worst_scenario.name
        flat["worst_pnl"] = self.worst_scenario.pnl
        return pd.DataFrame({"value": flat})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with worst loss, add-ons, IM, MM and equity as bars in the numeraire."""
        axes = new_axes(ax)
        worst = 0.0 if math.isnan(self.worst_scenario.pnl) else max(-self.worst_scenario.pnl, 0.0)
        bars = {"worst scenario": worst, **self.addons, "IM": self.im, "MM": self.mm, "equity": self.equity}
        axes.barh(list(bars), list(bars.values()))
        axes.invert_yaxis()
        title = f"{self.account} under {self.rule} {self.variant}".strip()
        axes.set(xlabel=self.numeraire, title=title)
        return axes

    def summary(self) -> pd.DataFrame:
        """Return one row: im, mm, im_equity, equity, excess, ratio and status in the numeraire."""
        row = {
            "numeraire": self.numeraire,
            "im": self.im,
            "mm": self.mm,
            "im_equity": self.im_equity,
            "equity": self.equity,
            "excess": self.excess,
            "margin_ratio": self.margin_ratio,
            "status": self.status,
        }
        label = f"{self.rule} {self.variant}".strip()
        return pd.DataFrame([row], index=[label]).round(8)
