"""Every test of a model by name, what it looks at and how it is called; what is left out, with the reason.

One list serves the battery of a walk-forward and the validation report, so that neither can forget a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Literal, NamedTuple

from pmkit.backtest.es.regression import FEW_EXPECTED
from pmkit.backtest.es_tests import (
    acerbi_szekely,
    costanzino_curran,
    du_escanciano,
    du_escanciano_conditional,
    e_backtest,
    es_by_quantiles,
    es_regression,
    mcneil_frey,
    minimally_biased,
    multinomial,
    nolde_ziegel,
    one_sided_calibration,
)
from pmkit.backtest.factors.uniformity import uniformity
from pmkit.backtest.margins.overlapping import overlapping_independence, overlapping_pof
from pmkit.backtest.margins.overlapping_quantile import overlapping_quantile
from pmkit.backtest.series.es_series import PitSeries, TailSeries
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.overlap import OffsetOutcomes
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var_tests import (
    basel_zone,
    berkowitz,
    binomial_exact,
    christoffersen,
    christoffersen_independence,
    dynamic_logit,
    dynamic_quantile,
    geometric_duration,
    gmm_duration,
    haas,
    haas_mixed,
    kupiec,
    kupiec_first_hit,
    weibull_duration,
)
from pmkit.core.types import FloatArray

__all__ = ["INVENTORY", "LEFT_OUT", "Entry", "Group", "Judged", "Outcome", "left_out", "run_inventory"]

Outcome = BacktestTest | OffsetOutcomes

Group = Literal["number", "order", "overlap", "law", "size", "betting"]
"""What a test looks at: hits by number or order, losses that share days, the whole law, sizes, wealth."""

#: Most draws of a test whose every draw is a fit of milliseconds, and of one whose draws are climbs together.
_FEW_DRAWS = 99
_MANY_DRAWS = 999

#: Tests that need an ES above VaR.
_BEYOND = ("Acerbi Z3", "e-backtest of ES")


class Judged(NamedTuple):
    """What a model said and what came.

    Attributes
    ----------
    hits : HitSeries
        Losses beyond the margin.
    var, loss : ndarray, shape (n,)
        The margin, and the losses, in its unit.
    pits : PitSeries or None
        Probabilities that the model gave to what came; None where it states no law.
    tail : TailSeries or None
        Losses with VaR and ES; None where the model states no ES.
    """

    hits: HitSeries
    var: FloatArray
    loss: FloatArray
    pits: PitSeries | None
    tail: TailSeries | None

    @property
    def has_tail(self) -> bool:
        """Whether ES lies above VaR on every day: where they are equal nothing is said of losses beyond."""
        return self.tail is not None and bool((self.tail.es > self.tail.var).all())

    @property
    def overlaps(self) -> bool:
        """Whether consecutive losses share days."""
        return self.hits.stride > 1


class Entry(NamedTuple):
    """One test as it is run: its name in tables, what it looks at, the function, and its own settings."""

    name: str
    group: Group
    test: Callable[..., Any]
    own: Mapping[str, Any] = {}

    def run(self, judged: Judged, settings: Mapping[str, Any]) -> Outcome | None:
        """Return the outcome; None where the model makes no statement that the test could judge."""
        known = signature(self.test).parameters
        given = {key: value for key, value in settings.items() if key in known} | dict(self.own)
        if self.test in (dynamic_logit, geometric_duration):
            given["draws"] = min(given["draws"], _MANY_DRAWS)
        if self.group in ("number", "order", "overlap"):
            given["hits"] = judged.hits
            if "var" in known:
                given["var"] = judged.var
            if self.own.get("specification") == "gas":
                given["loss"] = judged.loss
            outcome: Outcome = self.test(**given)
            return outcome
        series = judged.pits if self.group == "law" else judged.tail
        if series is None or (self.name in _BEYOND and not judged.has_tail):
            return None
        if given.get("null") == "exponential" and (
            self.own.get("kind") == "z3" or self.test is es_regression
        ):
            given |= {"null": "normal", "df": None}  # they need a law of the whole loss
        if self.test is es_regression and judged.tail is not None:
            expected = judged.tail.n / judged.hits.stride * judged.tail.p
            given["draws"] = 0 if expected >= FEW_EXPECTED else min(given["draws"], _FEW_DRAWS)
        outcome = self.test(series, **given)
        return outcome


#: Every test, in the order of the tables.
INVENTORY: tuple[Entry, ...] = (
    Entry("Kupiec", "number", kupiec),
    Entry("binomial", "number", binomial_exact),
    Entry("binomial, too many", "number", binomial_exact, {"alternative": "greater"}),
    Entry("Basel zone", "number", basel_zone),
    Entry("first hit", "number", kupiec_first_hit),
    Entry("number under overlap", "overlap", overlapping_pof),
    Entry("independence under overlap", "overlap", overlapping_independence),
    Entry("dynamic quantile under overlap", "overlap", overlapping_quantile),
    Entry("independence", "order", christoffersen_independence),
    Entry("conditional coverage", "order", christoffersen),
    Entry("Haas", "order", haas),
    Entry("Haas mixed", "order", haas_mixed),
    Entry("Weibull duration", "order", weibull_duration),
    Entry("geometric duration", "order", geometric_duration),
    Entry("GMM duration", "order", gmm_duration),
    Entry("dynamic quantile", "order", dynamic_quantile),
    Entry("dynamic quantile, GAS", "order", dynamic_quantile, {"specification": "gas"}),
    Entry("dynamic logit", "order", dynamic_logit),
    Entry("Kolmogorov-Smirnov", "law", uniformity, {"distance": "ks"}),
    Entry("Anderson-Darling", "law", uniformity, {"distance": "ad"}),
    Entry("Cramér-von Mises", "law", uniformity, {"distance": "cvm"}),
    Entry("Berkowitz", "law", berkowitz),
    Entry("Berkowitz tail", "law", berkowitz, {"kind": "tail"}),
    Entry("multinomial", "law", multinomial),
    Entry("multinomial, Pearson", "law", multinomial, {"kind": "pearson"}),
    Entry("multinomial, ratio", "law", multinomial, {"kind": "lrt"}),
    Entry("ES by quantiles", "law", es_by_quantiles),
    Entry("Du-Escanciano", "law", du_escanciano),
    Entry("Du-Escanciano, order", "law", du_escanciano_conditional),
    Entry("Costanzino-Curran", "law", costanzino_curran),
    Entry("McNeil-Frey", "size", mcneil_frey),
    Entry("Acerbi Z1", "size", acerbi_szekely, {"kind": "z1"}),
    Entry("Acerbi Z2", "size", acerbi_szekely, {"kind": "z2"}),
    Entry("Acerbi Z3", "size", acerbi_szekely, {"kind": "z3"}),
    Entry("minimally biased", "size", minimally_biased),
    Entry("minimally biased, absolute", "size", minimally_biased, {"kind": "absolute"}),
    Entry("Nolde-Ziegel", "size", nolde_ziegel),
    Entry("Nolde-Ziegel, general", "size", nolde_ziegel, {"kind": "general"}),
    Entry("one-sided calibration", "size", one_sided_calibration),
    Entry("one-sided calibration, general", "size", one_sided_calibration, {"kind": "general"}),
    Entry("ES regression, strict", "size", es_regression, {"kind": "strict"}),
    Entry("ES regression, auxiliary", "size", es_regression, {"kind": "auxiliary"}),
    Entry("ES regression, intercept", "size", es_regression, {"kind": "intercept"}),
    Entry("e-backtest of VaR", "betting", e_backtest, {"measure": "var"}),
    Entry("e-backtest of ES", "betting", e_backtest),
)

#: Public functions that decide something and are not run on one model, each with the reason.
LEFT_OUT: Mapping[str, str] = {
    "compare_forecasts": "asks which of two models is better",
    "model_confidence_set": "asks which of many models can be told from the best",
    "beats_benchmark": "asks whether any of many models is better than one of them",
    "factor_laws": "judges risk factors, not a book",
    "factor_dependence": "judges the joint law of risk factors, not a book",
    "pnl_attribution": "compares two kinds of P&L, not P&L with a margin",
    "many_accounts": "judges many books at once",
    "many_books": "judges many books at once",
    "kupiec_non_rejection": "a table of counts, not a test of them",
    "every_test": "runs all others",
    "run_vol_scenarios": "runs all others under several paths of implied vol",
}


def left_out(judged: Judged) -> dict[str, str]:
    """Return what is not run on a series, with the reason."""
    if judged.overlaps:
        return dict(LEFT_OUT)
    single = "losses of one step share no days"
    return {entry.name: single for entry in INVENTORY if entry.group == "overlap"} | dict(LEFT_OUT)


def run_inventory(
    judged: Judged, *, alpha: float, null: str, df: float | None, draws: int, seed: int
) -> dict[str, tuple[Group, Outcome | None]]:
    """Return group and outcome of every test that applies, None where the model states nothing for it."""
    horizon = judged.hits.horizon if judged.overlaps else None
    settings = {"alpha": alpha, "horizon": horizon, "draws": draws, "seed": seed, "null": null, "df": df}
    entries = [entry for entry in INVENTORY if judged.overlaps or entry.group != "overlap"]
    return {entry.name: (entry.group, entry.run(judged, settings)) for entry in entries}
