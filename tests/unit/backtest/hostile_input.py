"""Hostile input for every public function of the room: situations, how each is met, and what is allowed.

A situation is one history with something wrong or odd about it. Each function must answer with a stated
status or with an error of the package: never with a bare error of a library, a warning of numpy, or a
decision that rests on a p-value that is not a number.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from pmkit import backtest as bt
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitError, SchemaError
from pmkit.core.random import stream
from pmkit.market import load_history

P, N = 0.025, 160
LEVEL = 1.0 - P
VAR = float(norm.isf(P))
ES = float(norm.pdf(VAR)) / P
DAYS = pd.date_range("2024-01-01", periods=N, tz="UTC")


class NotApplicable(Exception):  # noqa: N818
    """The caller cannot even express the situation: pandas itself would refuse it."""


@dataclass(frozen=True)
class Situation:
    """One history as a caller might hand it over: anything may be wrong with it."""

    loss: Any
    var: Any
    es: Any
    pit: Any
    level: float = LEVEL
    horizon: float = 1.0
    dates: Any = None

    @property
    def hits(self) -> bt.HitSeries:
        return bt.HitSeries.from_losses(
            self.loss, self.var, round(1.0 - self.level, 12), horizon=self.horizon, dates=self.dates
        )

    @property
    def tail(self) -> bt.TailSeries:
        return bt.TailSeries(
            loss=self.loss, var=self.var, es=self.es, level=self.level, horizon=self.horizon, dates=self.dates
        )

    @property
    def other(self) -> bt.TailSeries:
        """A second model for the same losses, ten per cent higher on odd days."""
        up = 1.0 + 0.1 * (np.arange(np.size(self.var)) % 2)
        return replace_tail(self, up)

    @property
    def pits(self) -> bt.PitSeries:
        return bt.PitSeries(pit=self.pit, level=self.level, horizon=self.horizon, dates=self.dates)

    def series(self, name: str) -> pd.Series:
        """A column by date, as a panel holds it."""
        value = getattr(self, name)
        if np.ndim(value) != 1:
            raise NotApplicable
        return value if isinstance(value, pd.Series) else pd.Series(value, name=name)


def replace_tail(s: Situation, factor: Any) -> bt.TailSeries:
    return replace(s, var=np.asarray(s.var) * factor, es=np.asarray(s.es) * factor).tail


def _control(n: int = N) -> dict[str, Any]:
    sigma = 1.0 + 0.3 * np.sin(2.0 * np.pi * np.arange(n) / 50.0)
    loss = sigma * stream(7, "hostile").standard_normal(n)
    return {"loss": loss, "var": VAR * sigma, "es": ES * sigma, "pit": norm.sf(loss / sigma)}


def _with(**changes: Any) -> Situation:
    return Situation(**(_control() | changes))


def _poked(column: str, value: float) -> Situation:
    one = np.array(_control()[column])
    one[3] = value
    return _with(**{column: one})


def _short(n: int) -> Situation:
    return Situation(**{name: column[:n] for name, column in _control().items()})


def situations() -> dict[str, Situation]:
    """Return every situation by name; to those in ``REFUSED`` some have no answer but an error."""
    c = _control()
    low, high = np.full(N, -5.0), np.full(N, 50.0)
    return {
        "control": _with(),
        "no hits": _with(loss=low, pit=np.full(N, 0.97)),
        "all hits": _with(loss=high, pit=np.full(N, 1e-9)),
        "one hit": _with(loss=np.where(np.arange(N) == 90, 50.0, -5.0)),
        "two hits": _with(loss=np.where(np.arange(N) % 100 == 40, 50.0, -5.0)),
        "hits in one clump": _with(loss=np.where(np.arange(N) < 6, 50.0, -5.0)),
        "hit on the first day": _with(loss=np.where(np.arange(N) == 0, 50.0, -5.0)),
        "hit on the last day": _with(loss=np.where(np.arange(N) == N - 1, 50.0, -5.0)),
        "one observation": _short(1),
        "two observations": _short(2),
        "five observations": _short(5),
        "no observation": _short(0),
        "constant VaR": _with(var=np.full(N, VAR), es=np.full(N, ES)),
        "constant everything": _with(
            loss=np.zeros(N), var=np.ones(N), es=np.full(N, 1.5), pit=np.full(N, 0.5)
        ),
        "zero VaR": _with(var=np.zeros(N), es=np.ones(N)),
        "zero VaR and ES": _with(var=np.zeros(N), es=np.zeros(N)),
        "VaR of the wrong sign": _with(var=-c["var"], es=-c["es"]),
        "ES below VaR": _with(es=0.5 * c["var"]),
        "ES equal to VaR": _with(es=c["var"]),
        "losses equal to VaR": _with(loss=c["var"].copy()),
        "NaN in the loss": _poked("loss", math.nan),
        "NaN in the VaR": _poked("var", math.nan),
        "NaN in the ES": _poked("es", math.nan),
        "NaN in the probabilities": _poked("pit", math.nan),
        "infinite loss": _poked("loss", math.inf),
        "infinite VaR": _poked("var", math.inf),
        "one large loss": _poked("loss", 1e9),
        "one large VaR": _with(var=_poked("var", 1e8).var, es=_poked("es", 1e9).es),
        "losses of a thousandth": _with(**{name: 1e-3 * c[name] for name in ("loss", "var", "es")}),
        "one loss beyond all money": _poked("loss", 1e300),
        "one VaR beyond all money": _with(var=_poked("var", 1e200).var, es=_poked("es", 1e201).es),
        "probabilities of 0 and 1": _with(pit=np.where(np.arange(N) % 9 == 0, 0.0, 1.0)),
        "probability above 1": _poked("pit", 1.5),
        "text": _with(loss=["a"] * N, pit=["a"] * N),
        "booleans": _with(loss=np.zeros(N, dtype=bool)),
        "a table": _with(loss=np.zeros((N, 2)), pit=np.zeros((N, 2))),
        "lengths that differ": _with(var=c["var"][:-1], es=c["es"][:-1]),
        "unaligned dates": _with(
            loss=pd.Series(c["loss"], DAYS),
            var=pd.Series(c["var"], DAYS.shift(1)),
            es=pd.Series(c["es"], DAYS.shift(1)),
        ),
        "VaR and ES on other dates": _with(
            var=pd.Series(c["var"], DAYS), es=pd.Series(c["es"], DAYS.shift(1))
        ),
        "dates in disorder": _with(dates=DAYS[::-1]),
        "dates without zone": _with(dates=DAYS.tz_localize(None) + pd.Timedelta(hours=8)),
        "a date twice": _with(dates=DAYS[:1].append(DAYS[:-1])),
        "overlapping losses": _with(horizon=5.0),
        "a horizon longer than the sample": _with(horizon=1000.0),
        "a level that is a tail": _with(level=0.025),
        "a level of one": _with(level=1.0),
        "a level beyond the sample": _with(level=1.0 - 1e-9),
        "a level of a half": _with(level=0.5),
    }


_HITS, _TAIL, _PITS = ("loss", "var"), ("loss", "var", "es"), ("pit",)
#: Situations in which a function that reads one of these columns must refuse, and how.
REFUSED: dict[str, tuple[tuple[str, ...], type[PmkitError]]] = {
    "no observation": (_TAIL + _PITS, DataGapError),
    "zero VaR and ES": (("es",), ConventionError),
    "VaR of the wrong sign": (("var",), ConventionError),
    "ES below VaR": (("es",), ConventionError),
    "NaN in the loss": (("loss",), SchemaError),
    "NaN in the VaR": (("var",), SchemaError),
    "NaN in the ES": (("es",), SchemaError),
    "NaN in the probabilities": (_PITS, SchemaError),
    "infinite loss": (("loss",), SchemaError),
    "infinite VaR": (("var",), SchemaError),
    "one loss beyond all money": (("loss",), SchemaError),
    "one VaR beyond all money": (("var",), SchemaError),
    "probability above 1": (_PITS, SchemaError),
    "text": (("loss", "pit"), SchemaError),
    "a table": (("loss", "pit"), SchemaError),
    "booleans": (("loss",), SchemaError),
    "lengths that differ": (("var",), SchemaError),
    "unaligned dates": (("var",), SchemaError),
    "VaR and ES on other dates": (("es",), SchemaError),
    "dates in disorder": (_TAIL + _PITS, SchemaError),
    "dates without zone": (_TAIL + _PITS, ConventionError),
    "a date twice": (_TAIL + _PITS, SchemaError),
    "a level that is a tail": (_TAIL + _PITS, ConventionError),
    "a level of one": (_TAIL + _PITS, ParameterError),
}
#: Tests that assume independent days: overlapping losses are refused unless a horizon is asked for.
OVERLAPPING = ("overlapping losses", "a horizon longer than the sample")

#: Function by name, and how it meets a situation.
Caller = Callable[[Situation], Any]
_FEW = {"draws": 99}


def _of_hits(test: Any, **own: Any) -> Caller:
    return lambda s: test(hits=s.hits, **own)


def _of_var(test: Any, **own: Any) -> Caller:
    return lambda s: test(hits=s.hits, var=s.var, **own)


def _of_tail(test: Any, **own: Any) -> Caller:
    return lambda s: test(s.tail, **own)


def _of_pits(test: Any, **own: Any) -> Caller:
    return lambda s: test(s.pits, **own)


def _pair(s: Situation) -> dict[str, bt.TailSeries]:
    return {"model": s.tail, "other": s.other}


def _panel(s: Situation) -> tuple[pd.DataFrame, pd.DataFrame]:
    margin, loss = s.series("var"), _numbers(s.series("loss"))
    return pd.DataFrame({"a": margin, "b": 1.5 * margin}), pd.DataFrame({"a": -loss, "b": -loss})


def _numbers(values: Any) -> Any:
    """Return values that can be negated, or none at all."""
    if np.ndim(values) != 1 or not np.issubdtype(np.asarray(values).dtype, np.number):
        raise NotApplicable
    return values


def _draws(s: Situation) -> tuple[np.ndarray, np.ndarray]:
    came = np.column_stack([np.asarray(s.loss), np.asarray(s.pit)])
    return stream(1, "joint").standard_normal((came.shape[0], 12, 2)), came


@lru_cache
def _walk() -> bt.BacktestResult:
    history = load_history("crypto-daily-2020-2023").select(["BTC"])
    return bt.walk_forward("long_btc", history, "hs", "2021-01-01", "2021-07-19", refit_every=500)


def _result(s: Situation) -> bt.BacktestResult:
    """The walk-forward whose figures are those of the situation."""
    run = _walk()
    columns = {name: np.asarray(_numbers(getattr(s, name))) for name in ("loss", "var", "es", "pit")}
    size = columns["loss"].size
    if any(column.size != size for column in columns.values()):
        raise NotApplicable
    frame = run.frame.iloc[:size].assign(
        pnl=-columns["loss"],
        var=columns["var"],
        var_es_level=columns["var"],
        es=columns["es"],
        pit=columns["pit"],
    )
    frame["hit"] = frame["hit_es_level"] = -frame["pnl"] > frame["var"]
    return replace(run, frame=frame, level=s.level, es_level=s.level, horizon=int(s.horizon))


v, e = bt.var_tests, bt.es_tests
#: Tests of hits.
OF_HITS: dict[str, Caller] = {
    "kupiec": _of_hits(v.kupiec),
    "binomial_exact": _of_hits(v.binomial_exact),
    "binomial_exact, greater": _of_hits(v.binomial_exact, alternative="greater"),
    "binomial_exact, less": _of_hits(v.binomial_exact, alternative="less"),
    "basel_zone": _of_hits(v.basel_zone),
    "kupiec_first_hit": _of_hits(v.kupiec_first_hit),
    "christoffersen_independence": _of_hits(v.christoffersen_independence, **_FEW),
    "christoffersen": _of_hits(v.christoffersen, **_FEW),
    "haas": _of_hits(v.haas, **_FEW),
    "haas_mixed": _of_hits(v.haas_mixed, **_FEW),
    "weibull_duration": _of_hits(v.weibull_duration, **_FEW),
    "geometric_duration": _of_hits(v.geometric_duration, **_FEW),
    "geometric_duration, conditional": _of_hits(v.geometric_duration, hypothesis="conditional", **_FEW),
    "gmm_duration": _of_hits(v.gmm_duration, **_FEW),
    "dynamic_quantile": _of_var(v.dynamic_quantile, **_FEW),
    "dynamic_quantile, gas": lambda s: v.dynamic_quantile(
        hits=s.hits, var=s.var, loss=s.loss, specification="gas", **_FEW
    ),
    "dynamic_logit": _of_var(v.dynamic_logit, **_FEW),
}
#: Tests of probabilities.
OF_PITS: dict[str, Caller] = {
    "berkowitz": _of_pits(v.berkowitz, **_FEW),
    "berkowitz, tail": _of_pits(v.berkowitz, kind="tail", **_FEW),
    "uniformity": _of_pits(bt.uniformity, **_FEW),
    "uniformity, ks": _of_pits(bt.uniformity, distance="ks", **_FEW),
    "uniformity, cvm": _of_pits(bt.uniformity, distance="cvm", **_FEW),
    "multinomial": _of_pits(e.multinomial, **_FEW),
    "multinomial, pearson": _of_pits(e.multinomial, kind="pearson", **_FEW),
    "multinomial, lrt": _of_pits(e.multinomial, kind="lrt", **_FEW),
    "es_by_quantiles": _of_pits(e.es_by_quantiles, **_FEW),
    "du_escanciano": _of_pits(e.du_escanciano),
    "du_escanciano_conditional": _of_pits(e.du_escanciano_conditional, **_FEW),
    "costanzino_curran": _of_pits(e.costanzino_curran),
}
#: Tests of losses beyond VaR, and comparisons.
OF_TAIL: dict[str, Caller] = {
    "mcneil_frey": _of_tail(e.mcneil_frey, **_FEW),
    "acerbi_szekely, z1": _of_tail(e.acerbi_szekely, kind="z1", **_FEW),
    "acerbi_szekely, z2": _of_tail(e.acerbi_szekely, kind="z2", **_FEW),
    "acerbi_szekely, z3": _of_tail(e.acerbi_szekely, kind="z3", **_FEW),
    "minimally_biased": _of_tail(e.minimally_biased, **_FEW),
    "minimally_biased, absolute": _of_tail(e.minimally_biased, kind="absolute", **_FEW),
    "nolde_ziegel": _of_tail(e.nolde_ziegel, **_FEW),
    "nolde_ziegel, general": _of_tail(e.nolde_ziegel, kind="general", **_FEW),
    "one_sided_calibration": _of_tail(e.one_sided_calibration, **_FEW),
    "one_sided_calibration, general": _of_tail(e.one_sided_calibration, kind="general", **_FEW),
    "es_regression, strict": _of_tail(e.es_regression, draws=0),
    "es_regression, auxiliary": _of_tail(e.es_regression, kind="auxiliary", draws=0),
    "es_regression, intercept": _of_tail(e.es_regression, kind="intercept", draws=0),
    "es_regression, simulated": _of_tail(e.es_regression, kind="intercept", **_FEW),
    "e_backtest": _of_tail(e.e_backtest),
    "e_backtest, var": _of_tail(e.e_backtest, measure="var"),
    "e_backtest, gree": _of_tail(e.e_backtest, betting="gree"),
    "e_process": _of_tail(e.e_process),
    "average_e_processes": lambda s: e.average_e_processes([e.e_process(s.tail)] * 2),
    "compare_forecasts": lambda s: e.compare_forecasts(s.tail, s.other),
    "compare_forecasts, with itself": lambda s: e.compare_forecasts(s.tail, s.tail),
    "compare_forecasts, tick": lambda s: e.compare_forecasts(s.tail, s.other, score="tick"),
}
#: Scores and sets of models, which hold under overlap.
OF_SCORES: dict[str, Caller] = {
    "fz0_score": _of_tail(e.fz0_score),
    "fzg_score": _of_tail(e.fzg_score, family="logistic"),
    "tick_score": _of_tail(e.tick_score),
    "elementary_var_score": lambda s: bt.elementary_var_score(s.tail, 1.0),
    "elementary_es_score": lambda s: bt.elementary_es_score(s.tail, 1.0),
    "murphy": lambda s: bt.murphy(_pair(s), points=20),
    "model_confidence_set": lambda s: bt.model_confidence_set(_pair(s), **_FEW),
    "model_confidence_set, max": lambda s: bt.model_confidence_set(_pair(s), method="max", **_FEW),
    "beats_benchmark": lambda s: bt.beats_benchmark(s.tail, {"other": s.other}, **_FEW),
}
#: Tests made for overlap.
OF_OVERLAP: dict[str, Caller] = {
    "overlapping_pof": _of_hits(bt.overlapping_pof, **_FEW),
    "overlapping_independence": _of_hits(bt.overlapping_independence, **_FEW),
    "overlapping_quantile": _of_var(bt.overlapping_quantile, **_FEW),
}
#: Everything else: what it reads differs.
OF_OTHERS: dict[str, Caller] = {
    "overlap_counts": lambda s: bt.overlap_counts(
        n=s.hits.n, p=round(1.0 - s.level, 12), horizon=s.hits.stride, draws=999
    ),
    "variance_inflation": lambda s: bt.variance_inflation(
        n=np.size(s.loss), p=round(1.0 - s.level, 12), horizon=int(s.horizon)
    ),
    "margin_coverage": lambda s: bt.margin_coverage(*_panel(s)),
    "many_accounts": lambda s: bt.many_accounts(
        bt.margin_coverage(*_panel(s)), p=round(1.0 - s.level, 12), **_FEW
    ),
    "many_books": lambda s: bt.many_books({"a": _result(s), "b": _result(s)}, **_FEW),
    "every_test": lambda s: bt.every_test(_result(s), **_FEW),
    "procyclicality": lambda s: bt.procyclicality(s.series("var"), losses=s.series("loss"), days=(1,)),
    "procyclicality_frontier": lambda s: bt.procyclicality_frontier(
        {"a": s.series("var")}, -_numbers(s.series("loss")), days=1
    ),
    "called_margin": lambda s: bt.called_margin(s.series("var"), buffer=0.25, floor=1.0, stress_weight=0.25),
    "impulse_response": lambda s: bt.impulse_response(
        lambda past: float(np.append(0.0, s.var)[-1]), window=20, histories=2, before=10, after=20
    ),
    "factor_laws": lambda s: bt.factor_laws({"spot": s.pits}, **_FEW),
    "factor_dependence": lambda s: bt.factor_dependence(*_draws(s)),
    "energy_score": lambda s: bt.energy_score(*_draws(s)),
    "pnl_attribution": lambda s: bt.pnl_attribution(s.loss, s.var),
}


#: What the functions of each table read.
READS: tuple[tuple[dict[str, Caller], tuple[str, ...]], ...] = (
    (OF_HITS, _HITS),
    (OF_PITS, _PITS),
    (OF_TAIL, _TAIL),
    (OF_SCORES, _TAIL),
    (OF_OVERLAP, _HITS),
    (OF_OTHERS, ()),
)
CALLERS: dict[str, Caller] = {name: call for table, _ in READS for name, call in table.items()}


def required(name: str, situation: str) -> type[PmkitError] | None:
    """Return the error with which a function must meet a situation, or None where it may answer."""
    reads = next(columns for table, columns in READS if name in table)
    if situation in OVERLAPPING and any(name in table for table in (OF_HITS, OF_PITS, OF_TAIL)):
        return ConventionError
    wrong, error = REFUSED.get(situation, ((), None))
    return error if set(wrong) & set(reads) else None


def verdicts(found: Any) -> list[tuple[str, float]]:
    """Return decision and p-value of whatever a function returned; empty where it decides nothing."""
    if isinstance(found, bt.BacktestTest):
        return [(found.decision, found.p_value), (found.decision_exact, found.p_exact)]
    if isinstance(found, bt.OffsetOutcomes):
        return [(found.decision, found.p_combined), *(p for o in found.outcomes for p in verdicts(o))]
    if isinstance(found, bt.Battery):
        parts = [p for o in found.outcomes.values() if o is not None for p in verdicts(o)]
        frame = found.to_frame()
        told = frame["verdict"].str.replace(" ", "_")
        return parts + [(d, p) for d, p in zip(told, frame["p_value"], strict=True) if d != "not_stated"]
    if isinstance(found, pd.DataFrame):
        heads = [str(name).removesuffix("decision") for name in found if str(name).endswith("decision")]
        return [
            pair
            for head in heads
            for pair in zip(found[f"{head}decision"], found[f"{head}p" if head else "p_value"], strict=True)
        ]
    return []


def contradictions(found: Any) -> list[str]:
    """Return what is wrong with an answer: decisions without a p-value, p-values outside [0, 1]."""
    wrong = []
    for decision, p_value in verdicts(found):
        if decision not in ("rejected", "not_rejected", "not_evaluable"):
            wrong.append(f"decision {decision!r}")
        if decision != "not_evaluable" and not 0.0 <= p_value <= 1.0:
            wrong.append(f"{decision} at p = {p_value}")
    return wrong


def meet(name: str, situation: Situation) -> tuple[str, list[str]]:
    """Return what a function answers to a situation in one word, and what is wrong with the answer."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found = CALLERS[name](situation)
            wrong = contradictions(found)
            if hasattr(found, "check"):
                found.check()
            if hasattr(found, "summary"):
                found.summary()
            decided = verdicts(found)
            word = decided[0][0] if decided else "answered"
        except NotApplicable:
            return "not applicable", []
        except PmkitError as error:
            word, wrong = type(error).__name__, []
            if "; expected " not in str(error) or "; remedy: " not in str(error):
                wrong = [f"message without remedy: {error}"]
        except Exception as error:
            word, wrong = "CRASH", [f"{type(error).__name__}: {error}"]
    raw = {f"{w.category.__name__}: {w.message}" for w in said if issubclass(w.category, RuntimeWarning)}
    return word, wrong + sorted(raw)
