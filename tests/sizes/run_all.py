"""Size and power of every backtest by simulation: one table of cases, run test by test, written as a page.

Each case names a test, the law of the days for which its null hypothesis holds, and two in which it does not.
``python tests/sizes/run_all.py`` runs all of them and writes ``book/sizes.md``; names after it run a part
and print it alone. The slow test suite runs the same cases.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import binom, norm
from scipy.stats import t as student

from pmkit.backtest import (
    BacktestTest,
    HitSeries,
    PitSeries,
    TailSeries,
    beats_benchmark,
    es_tests,
    many_accounts,
    margin_coverage,
    model_confidence_set,
    overlapping_independence,
    overlapping_pof,
    overlapping_quantile,
    uniformity,
    var_tests,
)
from pmkit.core.random import stream

N, P, ALPHA, RUNS = 250, 0.025, 0.05, 200
DRAWS = {"draws": 199}
PAGE = Path(__file__).resolve().parents[2] / "book" / "sizes.md"

WORDS = {
    "right": "losses of the law that was forecast, whose deviation moves by 30 % over the year",
    "thin": "every loss 1.4 times what the forecast says",
    "cautious": "every loss half of what the forecast says",
    "fat": "Student losses with 3 degrees of freedom; VaR right, ES that of a normal loss",
    "clusters": "deviation five times higher in spells of 12 days on average; VaR and ES of the mixture",
    "echo": "deviation 2.5 times higher on the two days after a hit",
    "stale": "VaR and ES of the average day against a deviation that moves by 80 % over the year",
    "equal": "model and reference err alike, on odd and on even days",
    "model too low": "reference right, VaR and ES of the model half of it",
    "model too high": "reference right, VaR and ES of the model twice of it",
}


class Days(NamedTuple):
    """One simulated history: what came, what was forecast, and how probable the model held it."""

    loss: np.ndarray
    var: np.ndarray
    es: np.ndarray
    pit: np.ndarray
    reference: float = 1.0

    @property
    def tail(self) -> TailSeries:
        return TailSeries(loss=self.loss, var=self.var, es=self.es, level=1.0 - P)

    @property
    def probabilities(self) -> PitSeries:
        return PitSeries(pit=self.pit, level=1.0 - P)

    @property
    def hits(self) -> HitSeries:
        return HitSeries.from_losses(self.loss, self.var, P)

    def overlapping(self) -> HitSeries:
        """Hits of sums of five days against their right VaR where days are as forecast."""
        sums = np.convolve(self.loss / self.var, np.ones(5), mode="valid")
        return HitSeries.from_losses(sums, np.full(sums.size, math.sqrt(5.0)), P, horizon=5.0)


VAR = float(norm.isf(P))
ES = float(norm.pdf(VAR)) / P


@lru_cache
def _mixture(high: float, share: float) -> tuple[float, float]:
    """Return VaR and ES of a normal loss whose deviation is ``high`` on a share of the days, else 1."""

    def tail(x: float) -> float:
        return (1.0 - share) * float(norm.sf(x)) + share * float(norm.sf(x / high))

    var = float(brentq(lambda x: tail(x) - P, 0.0, 10.0 * high))
    beyond = (1.0 - share) * float(norm.pdf(var)) + share * high * float(norm.pdf(var / high))
    return var, beyond / P


def draw(law: str, rng: np.random.Generator, n: int = N) -> Days:
    """Return ``n`` days under the law named."""
    z, one = rng.standard_normal(n), np.ones(n)
    if law == "clusters":
        stay, share, high = 1.0 - 1.0 / 12.0, 0.1, 5.0
        state, u = np.empty(n, dtype=bool), rng.random(n)
        state[0] = u[0] < share
        for day in range(1, n):
            state[day] = u[day] < (stay if state[day - 1] else (1.0 - stay) * share / (1.0 - share))
        var, es = _mixture(high, share)
        loss = np.where(state, high, 1.0) * z
        pit = (1.0 - share) * norm.sf(loss) + share * norm.sf(loss / high)
        return Days(loss, var * one, es * one, pit)
    sigma = 1.0 + 0.3 * np.sin(2.0 * np.pi * np.arange(n) / 125.0)
    if law == "echo":
        loss, last = np.empty(n), -9
        for day in range(n):
            loss[day] = sigma[day] * z[day] * (2.5 if day - last <= 2 else 1.0)
            last = day if loss[day] > VAR * sigma[day] else last
    elif law == "fat":
        loss = sigma * rng.standard_t(3, n) * VAR / float(student.isf(P, 3))
    elif law == "stale":
        loss = (1.0 + 0.8 * np.sin(2.0 * np.pi * np.arange(n) / 125.0)) * z
        sigma = 1.0 + 1e-3 * sigma  # nearly constant, yet a regressor
    else:
        factor = {"thin": 1.4, "cautious": 0.5}.get(law, 1.0)
        loss = factor * sigma * z
    if law in ("equal", "model too low", "model too high"):
        factor = {"model too low": 0.5, "model too high": 2.0}.get(law, 1.0)
        wave = np.where(np.arange(n) % 2 == 0, 1.3, 1.0) if law == "equal" else factor * one
        return Days(loss, VAR * sigma * wave, ES * sigma * wave, one, 1.0 if law == "equal" else 0.0)
    return Days(loss, VAR * sigma, ES * sigma, np.asarray(norm.sf(loss / sigma)))


def _compared(days: Days, score: str, alternative: str) -> BacktestTest:
    """Compare the model with the right forecast, or with one that errs on the other days."""
    wave = np.where(np.arange(N) % 2 == 0, 1.3, 1.0)
    sigma = 1.0 + 0.3 * np.sin(2.0 * np.pi * np.arange(N) / 125.0)
    other = sigma * (wave[::-1] if days.reference == 1.0 else 1.0)
    reference = TailSeries(loss=days.loss, var=VAR * other, es=ES * other, level=1.0 - P)
    return es_tests.compare_forecasts(days.tail, reference, score=score, alternative=alternative)


class Verdict(NamedTuple):
    """The decision of a procedure that returns a table of models."""

    decision: str

    @classmethod
    def of(cls, found_one: bool) -> Verdict:
        return cls("rejected" if found_one else "not_rejected")


def _rivals(days: Days) -> tuple[TailSeries, dict[str, TailSeries]]:
    """Return the model and two rivals: they err alike, each on another third of the days, or are right."""
    step = np.arange(days.loss.size)
    sigma = 1.0 + 0.3 * np.sin(2.0 * np.pi * step / 125.0)
    erring = [sigma * np.where(step % 3 == at, 1.3, 1.0) for at in range(3)]
    slips = [sigma * np.where(step % 50 == at, 1.05, 1.0) for at in (1, 2)]

    def series(var: np.ndarray) -> TailSeries:
        return TailSeries(loss=days.loss, var=var, es=var * ES / VAR, level=1.0 - P)

    equal = days.reference == 1.0
    first, others = (erring[0], erring[1:]) if equal else (days.var / VAR, slips)
    return series(VAR * first), {f"rival {at}": series(VAR * one) for at, one in enumerate(others)}


def _confidence_set(days: Days, seed: int, method: str) -> Verdict:
    """Say whether the model leaves the set, or, where all err alike, whether any model does."""
    model, rivals = _rivals(days)
    found = model_confidence_set(
        {"model": model, **rivals}, size=ALPHA, draws=199, block=5, method=method, seed=seed
    )
    return Verdict.of("model" not in found.included if days.reference == 0.0 else len(found.included) < 3)


def _beaten(days: Days, seed: int, stepwise: bool) -> Verdict:
    """Say whether any rival beats the model: by the test of superior predictive ability, or step by step."""
    table = beats_benchmark(*_rivals(days), size=ALPHA, draws=199, block=5, seed=seed)
    return Verdict.of(bool(table["superior"].any()) if stepwise else table.attrs["p_consistent"] <= ALPHA)


ACCOUNTS = 6


def _accounts(days: Days) -> list[TailSeries]:
    """Return accounts on N common dates: the days cut into blocks, of which the first three are one."""
    blocks = np.array_split(np.arange(days.loss.size), ACCOUNTS - 2)
    return [
        TailSeries(loss=days.loss[at], var=days.var[at], es=days.es[at], level=1.0 - P)
        for at in (blocks[0], blocks[0], *blocks)
    ]


def _many(days: Days, seed: int, one_by_one: bool) -> Verdict:
    """Say whether an account is rejected after adjustment, or whether the rate of all lies above P."""
    accounts = _accounts(days)
    margin, pnl = (
        pd.DataFrame({at: getattr(one, name) for at, one in enumerate(accounts)}) for name in ("var", "loss")
    )
    found = many_accounts(margin_coverage(margin, -pnl), p=P, alpha=ALPHA, draws=499, seed=seed)
    return Verdict.of(bool(found.table["rejected"].any()) if one_by_one else not found.covers)


def _bets(days: Days, seed: int) -> Verdict:
    """Say whether the mean wealth of bets on all accounts ever reaches 1/ALPHA."""
    paths = [es_tests.e_process(one, measure="var", betting="gree") for one in _accounts(days)]
    return Verdict.of(es_tests.average_e_processes(paths).largest >= 1.0 / ALPHA)


Test = Callable[[Days, int], BacktestTest | Verdict]


@dataclass(frozen=True)
class Case:
    """One test: how to call it, the days of its null, and the two kinds of days it should reject."""

    name: str
    call: Test
    wrong: tuple[str, str]
    right: str = "right"
    runs: int = RUNS
    p_exact: bool = True
    days: int = N


def _hits(test: Any, **settings: Any) -> Test:
    return lambda days, seed: test(
        hits=days.hits, **settings, **({"seed": seed} if "draws" in settings else {})
    )


def _varied(test: Any, **settings: Any) -> Test:
    return lambda days, seed: test(hits=days.hits, var=days.var, seed=seed, **settings)


def _tail(test: Any, **settings: Any) -> Test:
    return lambda days, seed: test(days.tail, **settings, **({"seed": seed} if "draws" in settings else {}))


def _pit(test: Any, **settings: Any) -> Test:
    return lambda days, seed: test(
        days.probabilities, **settings, **({"seed": seed} if "draws" in settings else {})
    )


def cases() -> list[Case]:
    """Return every case, in the order of the page."""
    v, e = var_tests, es_tests
    number, memory = ("thin", "cautious"), ("clusters", "echo")
    low = ("thin", "fat")
    found = [
        Case("kupiec", _hits(v.kupiec), number),
        Case("binomial_exact", _hits(v.binomial_exact), number),
        Case("binomial_exact, greater", _hits(v.binomial_exact, alternative="greater"), ("thin", "stale")),
        Case("basel_zone", _hits(v.basel_zone), ("thin", "stale")),
        Case("kupiec_first_hit", _hits(v.kupiec_first_hit), number),
        Case("christoffersen_independence", _hits(v.christoffersen_independence, **DRAWS), memory),
        Case("christoffersen", _hits(v.christoffersen, **DRAWS), ("clusters", "thin")),
        Case("haas", _hits(v.haas, **DRAWS), memory),
        Case("haas_mixed", _hits(v.haas_mixed, **DRAWS), ("clusters", "thin")),
        Case("weibull_duration", _hits(v.weibull_duration, **DRAWS), memory),
        Case("geometric_duration", _hits(v.geometric_duration, **DRAWS), memory, runs=100),
        Case(
            "geometric_duration, conditional",
            _hits(v.geometric_duration, hypothesis="conditional", **DRAWS),
            ("clusters", "thin"),
            runs=100,
        ),
        Case("gmm_duration", _hits(v.gmm_duration, **DRAWS), ("clusters", "thin")),
        Case("dynamic_quantile, em", _varied(v.dynamic_quantile, **DRAWS), ("echo", "thin")),
        Case(
            "dynamic_quantile, gas",
            lambda days, seed: v.dynamic_quantile(
                hits=days.hits, var=days.var, loss=days.loss, specification="gas", seed=seed, **DRAWS
            ),
            ("echo", "thin"),
        ),
        Case("dynamic_logit", _varied(v.dynamic_logit, **DRAWS), ("echo", "thin"), runs=60),
        Case("berkowitz, full", _pit(v.berkowitz, **DRAWS), low, runs=100),
        Case("berkowitz, tail", _pit(v.berkowitz, kind="tail", **DRAWS), low, runs=100),
        *(
            Case(f"uniformity, {name}", _pit(uniformity, distance=name, **DRAWS), ("thin", "cautious"))
            for name in ("ks", "cvm", "ad")
        ),
        Case("mcneil_frey", _tail(e.mcneil_frey, **DRAWS), low),
        *(
            Case(f"acerbi_szekely, {kind}", _tail(e.acerbi_szekely, kind=kind, **DRAWS), low)
            for kind in ("z1", "z2", "z3")
        ),
        *(
            Case(f"minimally_biased, {kind}", _tail(e.minimally_biased, kind=kind, **DRAWS), low)
            for kind in ("relative", "absolute")
        ),
        Case("du_escanciano", _pit(e.du_escanciano), low),
        Case("du_escanciano, greater", _pit(e.du_escanciano, alternative="greater"), low),
        Case("costanzino_curran", _pit(e.costanzino_curran), low),
        Case("du_escanciano_conditional", _pit(e.du_escanciano_conditional, **DRAWS), memory, runs=100),
        # Fewer than thirty expected hits leave the simple version without power: see its documentation.
        Case("nolde_ziegel, simple", _tail(e.nolde_ziegel, **DRAWS), low, runs=100, days=2000),
        Case(
            "nolde_ziegel, general", _tail(e.nolde_ziegel, kind="general", **DRAWS), low, runs=100, days=2000
        ),
        *(
            Case(f"one_sided_calibration, {kind}", _tail(e.one_sided_calibration, kind=kind, **DRAWS), low)
            for kind in ("simple", "general")
        ),
        *(
            Case(f"es_regression, {kind}", _tail(e.es_regression, kind=kind, draws=99), low, runs=30)
            for kind in ("strict", "auxiliary", "intercept")
        ),
        Case("es_by_quantiles", _pit(e.es_by_quantiles, **DRAWS), low),
        *(
            Case(f"multinomial, {kind}", _pit(e.multinomial, kind=kind, **DRAWS), low)
            for kind in ("pearson", "nass", "lrt")
        ),
        *(
            Case(f"e_backtest, {betting}", _tail(e.e_backtest, betting=betting), low, runs=100)
            for betting in ("gree", "grel", "grem")
        ),
        *(
            Case(
                f"compare_forecasts, {score}, {alternative}",
                lambda days, seed, score=score, alternative=alternative: _compared(days, score, alternative),
                ("model too low", "model too high"),
                right="equal",
                p_exact=False,
            )
            for score, alternative in (("fz0", "greater"), ("tick", "greater"), ("root", "two-sided"))
        ),
        # With six hits a mean score is skewed, and "max" drops an equal model too often: see its docstring.
        *(
            Case(
                f"model_confidence_set, {method}",
                lambda days, seed, method=method: _confidence_set(days, seed, method),
                ("model too low", "model too high"),
                right="equal",
                runs=100,
                p_exact=False,
                days=length,
            )
            for method, length in (("R", N), ("max", 4 * N))
        ),
        *(
            Case(
                f"beats_benchmark, {name}",
                lambda days, seed, stepwise=stepwise: _beaten(days, seed, stepwise),
                ("model too low", "model too high"),
                right="equal",
                runs=100,
                p_exact=False,
            )
            for name, stepwise in (("SPA", False), ("StepM", True))
        ),
        *(
            Case(name, call, ("thin", "stale"), p_exact=False, days=N * (ACCOUNTS - 2))
            for name, call in (
                ("many_accounts, adjusted", lambda days, seed: _many(days, seed, True)),
                ("many_accounts, rate", lambda days, seed: _many(days, seed, False)),
                ("average_e_processes", _bets),
            )
        ),
        Case(
            "overlapping_pof",
            lambda days, seed: overlapping_pof(hits=days.overlapping(), draws=999, seed=seed % 5),
            ("thin", "cautious"),
            runs=100,
        ),
        Case(
            "overlapping_independence",
            lambda days, seed: overlapping_independence(hits=days.overlapping(), draws=199, seed=seed),
            memory,
            runs=60,
        ),
        Case(
            "overlapping_quantile",
            lambda days, seed: overlapping_quantile(
                hits=days.overlapping(), var=days.var[4:], draws=199, seed=seed
            ),
            ("clusters", "thin"),
            runs=100,
        ),
    ]
    return found


class Share(NamedTuple):
    """How many histories were rejected, and how many could be evaluated, of those simulated."""

    rejected: int
    evaluated: int
    runs: int

    @property
    def share(self) -> float:
        return self.rejected / self.runs

    @property
    def error(self) -> float:
        """Binomial standard error of the share."""
        return math.sqrt(self.share * (1.0 - self.share) / self.runs)

    def __str__(self) -> str:
        idle = "" if self.evaluated == self.runs else f" ({self.runs - self.evaluated} not evaluable)"
        return f"{100.0 * self.share:.1f} ± {100.0 * self.error:.1f}{idle}"


def run(case: Case, law: str) -> Share:
    """Return the share of simulated histories under ``law`` that the test of ``case`` rejects."""
    rejected = evaluated = 0
    for seed in range(case.runs):
        outcome = case.call(draw(law, stream(seed, "sizes", law), case.days), seed)
        decision = outcome.decision_exact if case.p_exact else outcome.decision
        rejected += decision == "rejected"
        evaluated += decision != "not_evaluable"
    return Share(rejected, evaluated, case.runs)


def largest_size(case: Case) -> int:
    """Return the rejections of a right model that a test of level ALPHA exceeds once in a thousand tries."""
    return int(binom.isf(0.001, case.runs, ALPHA))


def table(chosen: list[Case]) -> str:
    """Return the rows of the page, one a case."""
    lines = ["| test | days | runs | right model | first fault | rejects | second fault | rejects |"]
    lines.append("| --- | ---: | ---: | ---: | --- | ---: | --- | ---: |")
    for case in chosen:
        right, one, two = (run(case, law) for law in (case.right, *case.wrong))
        lines.append(
            f"| {case.name} | {case.days} | {case.runs} | {right} "
            f"| {case.wrong[0]} | {one} | {case.wrong[1]} | {two} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main(names: list[str]) -> None:
    """Run the cases named, or all and write the page."""
    chosen = [case for case in cases() if not names or any(name in case.name for name in names)]
    rows = table(chosen)
    if names:
        return
    laws = "\n".join(f"- **{law}**: {words}" for law, words in WORDS.items())
    PAGE.write_text(
        f"""Rejections in per cent of simulated histories at the tail probability {100 * P:g} % and the level
{100 * ALPHA:g} % of the test, with binomial standard errors, by the exact or simulated p-value where there is
one. A history that a test cannot evaluate is not rejected. Tests under overlap see sums of five of these
days, taken daily. Sets of models hold the model and two rivals; accounts are {ACCOUNTS} whose common
dates are a quarter of the days, three of them one and the same.

{laws}

{rows}
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
