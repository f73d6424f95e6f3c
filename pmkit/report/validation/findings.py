"""Sections that judge: backtests, procyclicality, sensitivities, challenger, limits, regulation."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pmkit.backtest import (
    BacktestTest,
    MarginCoverage,
    es_tests,
    many_accounts,
    procyclicality,
)
from pmkit.backtest.walk.inventory import left_out
from pmkit.report.embedded import Picture, png_text
from pmkit.report.validation.config import ValidationConfig
from pmkit.report.validation.evidence import coverage_of, evidence_table, judged_of
from pmkit.report.validation.parts import Light, ReportTable, Section, worst
from pmkit.report.validation.pictures import draw_paths, draw_run, draw_tests
from pmkit.report.validation.regulation import apc_options, offset_cap, regulatory_table
from pmkit.report.validation.runs import BookRuns, ValidationRuns
from pmkit.report.validation.size_power import size_and_power

__all__ = ["backtests", "challenger", "limits", "procyclical", "regulatory", "sensitivities"]

#: Columns of the table of tests, in the order in which a reader looks for them.
_SHOWN = [
    "portfolio", "test", "n", "hits", "expected", "p_value", "p_adjusted", "decision", "zone", "statistic",
    "subject", "conservative", "p_from",
]  # fmt: skip


def backtests(config: ValidationConfig, runs: ValidationRuns) -> Section:
    """Return every test on every portfolio, coverage, inference over all, and size and power at this n."""
    table = evidence_table(config, runs)
    coverage = coverage_of(runs)
    many = many_accounts(coverage, p=config.p, alpha=config.alpha, seed=config.seed)
    alone = runs.n // config.horizon
    power = size_and_power(alone, config.p, alpha=config.alpha, seed=config.seed)
    chance: dict[str, Any] = power.loc["exact binomial, too many hits"].to_dict()  # type: ignore[assignment]
    rejected = (table["decision"] == "rejected") & ~table["conservative"]
    held = rejected & (table["p_adjusted"] <= config.alpha)
    uncovered = many.table.index[many.table["rejected"]]
    red = held | (table["zone"] == "red") | table["portfolio"].isin(uncovered)
    yellow = rejected | (table["zone"] == "yellow")
    light: Light = (
        "red" if red.any() else "yellow" if yellow.any() or table["conservative"].any() else "green"
    )
    idle = int((table["decision"] == "not evaluable").sum())
    silent = int((table["decision"] == "not stated").sum())
    said = f"; {silent} would judge what the model does not state" if silent else ""
    which = ", ".join(dict.fromkeys(table.loc[red, "portfolio"])) or "none"
    worst_name = str(coverage.by_account()["coverage"].idxmin())
    run = runs.books[worst_name].model
    return Section(
        key="backtests",
        title="Backtests",
        light=light,
        verdict=f"{int(rejected.sum())} of {len(table) - idle - silent} evaluable tests reject, "
                f"{int(held.sum())} after allowing for the whole table; {idle} cannot be evaluated{said}. "
                f"Portfolios with an objection: {which}.",
        paragraphs=(
            f"Red: a portfolio in the red zone, one whose breaches are too many at {100 * config.alpha:g} "
            f"% after the "
            "adjustment of Benjamini and Yekutieli over portfolios (the first question), or any rejection "
            "that stands "
            "after the adjustment over the whole table. Yellow: a rejection that does not, a yellow zone, "
            "or a rejection for too few breaches. Not evaluable is not the same as not rejected, nor is not "
            "stated.",
            "All portfolios together: "
            f"{many.total} breaches against {many.expected:.1f}; share of account-dates in breach "
            f"{100 * many.rate:.2f} %, {100 * (1 - config.alpha):g} % interval "
            f"{100 * many.interval[0]:.2f} to {100 * many.interval[1]:.2f} % with whole dates resampled. "
            f"The variance is {many.inflation:.1f} times that of independent account-dates.",
            f"With {alone:,} observations that share no days a margin with half as many breaches again is "
            f"found by "
            f"the one-sided binomial test with probability "
            f"{chance['power_1.5p']:.2f}, one with twice as many with "
            f"{chance['power_2p']:.2f}.",
        ),
        tables=(
            ReportTable(name="coverage", title="Coverage by portfolio", frame=coverage.by_account(),
                        note="Breaches in units of notional and as a share of the margin."),
            ReportTable(name="too_many_breaches", title="Too many breaches", frame=many.to_frame(),
                        note="Exact and one-sided, adjusted for the number of portfolios under any "
                             "dependence."),
            ReportTable(name="backtests", title="Tests by portfolio", frame=table[_SHOWN],
                        note="p from says how the p-value was obtained; conservative marks rejections for "
                             "too few."),
            _remarks(table),
            _unused(runs),
            ReportTable(name="worst_dates", title="Dates with the largest shortfall",
                        frame=coverage.by_date().head(12).rename_axis("date")),
            ReportTable(name="size_and_power", title=f"Size and power with n = {alone:,}", frame=power,
                        note="Size: right model. Power: half more hits, twice the hits, hits that follow a "
                             "hit "
                        "with probability 0.15. A test with little power says little by not rejecting."),
        ),
        pictures=(
            Picture(
                png_text(
                    partial(draw_tests, table, config.alpha), (8.6, 1.2 + 0.2 * table["test"].nunique())
                ),
                "Grid of tests by portfolio, coloured by p-value.",
                "p-value of each test. Dark cells reject; a cross marks a rejection that stands after the "
                "adjustment "
                "for the number of tests, a dash a test without a decision.",
            ),
            Picture(
                png_text(partial(draw_run, run), (8.6, 3.8)),
                f"Profit and loss of {worst_name} with minus value at risk and the hits.",
                f"The portfolio with the lowest coverage, {worst_name}: P&L, minus VaR, and the days "
                f"beyond it."
                + (" The P&L is model-marked: implied vols are simulated." if run.model_marked else ""),
            ),
        ),
    )  # fmt: skip


def _unused(runs: ValidationRuns) -> ReportTable:
    """Return the tests of the package that do not judge a single model, each with the reason."""
    reasons = left_out(judged_of(next(iter(runs.books.values()))))
    frame = pd.DataFrame(list(reasons.items()), columns=["test", "reason"])
    return ReportTable(name="tests_left_out", title="Tests left out", frame=frame)


def _remarks(table: pd.DataFrame) -> ReportTable:
    """Return every remark of the tests once, with the tests and portfolios that it concerns."""
    rows: dict[tuple[str, str], list[str]] = {}
    for line in table.to_dict(orient="records"):
        for text in filter(None, str(line["remarks"]).split("; ")):
            rows.setdefault((str(line["test"]), text), []).append(str(line["portfolio"]))
    said = [(test, text, ", ".join(names)) for (test, text), names in rows.items()]
    frame = pd.DataFrame(said, columns=["test", "remark", "portfolios"])
    return ReportTable(name="test_remarks", title="Remarks of the tests", frame=frame)


def procyclical(config: ValidationConfig, runs: ValidationRuns) -> Section:
    """Return how far and how fast the called margin of an unchanged portfolio moves."""
    rows = []
    for name, book in runs.books.items():
        losses = -book.model.frame["pnl"].to_numpy() if config.horizon == 1 else None
        found = procyclicality(book.called.rename(name), losses=losses).summary()
        rows.append(found)
    table = pd.concat(rows).rename_axis("portfolio")
    rise, ratio = table["rise_5d_relative"], table["peak_to_trough"]
    lights: list[Light] = [
        "red" if r > 2.0 * config.rise_5d or q > 2.0 * config.peak_to_trough
        else "yellow" if r > config.rise_5d or q > config.peak_to_trough
        else "green"
        for r, q in zip(rise, ratio, strict=True)
    ]  # fmt: skip
    first = runs.books[config.books[0].name]
    return Section(
        key="procyclicality",
        title="Procyclicality",
        light=worst(lights),
        verdict=f"Largest rise in five days {100 * float(rise.max()):.0f} % ({rise.idxmax()}); "
        f"peak over trough {float(ratio.max()):.1f} ({ratio.idxmax()}).",
        paragraphs=(
            f"Yellow above a rise of {100 * config.rise_5d:g} % in five days or a ratio of "
            f"{config.peak_to_trough:g}; "
            "red above twice either. The thresholds are this validation's, not a regulator's.",
        ),
        tables=(
            ReportTable(name="procyclicality", title="Measures of the called margin", frame=table,
                        note="Margin and changes per unit of notional; call: rise of margin and losses "
                             "paid."),
            ReportTable(name="apc_options", title=f"What a tool would do to {config.books[0].name}",
                        frame=apc_options(config, runs)),
        ),
        pictures=(
            Picture(
                png_text(partial(draw_paths, {"model": first.model.margin,
                                              "challenger": first.challenger.margin}),
                         (8.6, 3.4)),
                f"Margin of {config.books[0].name} over time under the model and its challenger.",
                f"Margin of {config.books[0].name} per unit of notional: {config.model}, and "
                f"{config.challenger}.",
            ),
        ),
    )  # fmt: skip


def sensitivities(config: ValidationConfig, runs: ValidationRuns) -> Section:
    """Return what each parameter does to margin and coverage."""
    found = runs.sensitivity
    if found is None:
        return Section(
            key="sensitivities", title="Sensitivities", light="grey",
            verdict="No parameter was varied: the configuration names none.",
        )  # fmt: skip
    table = found.summary()
    free = table[table["direction"] == "no direction"]
    steep = free.index[free["margin"].abs() > 0.5]
    against = found.against_theory
    light: Light = "red" if against else "yellow" if len(steep) else "green"
    words = f"against theory: {', '.join(against)}" if against else "no parameter works against theory"
    return Section(
        key="sensitivities",
        title="Sensitivities",
        light=light,
        verdict=f"{len(table)} parameters varied on {found.book}; {words}.",
        paragraphs=(
            "Elasticity: per cent of margin, ES or coverage for one per cent of the parameter, all on the "
            "dates that "
            "the runs share. Margin must rise as the tail probability falls and as the horizon grows. "
            "Yellow where a "
            "choice on which theory is silent moves the margin with an elasticity above 0.5.",
        ),
        tables=(
            ReportTable(name="sensitivity", title="Elasticities", frame=table),
            ReportTable(name="sensitivity_runs", title="Runs behind them", frame=found.to_frame()),
        ),
        pictures=(
            Picture(
                png_text(found.plot, (7.2, 2.8)),
                "Bars of the elasticity of margin by parameter.",
                "Elasticity of margin by parameter.",
            ),
        ),
    )


def _against(name: str, book: BookRuns, config: ValidationConfig) -> dict[str, Any]:
    """Return one row of the comparison: scores of VaR and ES together, hits, mean margin."""
    horizon = float(config.horizon) if config.horizon > 1 else None
    pair = (BookRuns.tail(book.model), BookRuns.tail(book.challenger))
    worse = es_tests.compare_forecasts(*pair, horizon=horizon, alpha=config.alpha)
    better = es_tests.compare_forecasts(*pair[::-1], horizon=horizon, alpha=config.alpha)
    zone = "yellow"
    if worse.decision == "rejected":
        zone = "red"
    elif better.decision == "rejected":
        zone = "green"
    scores = [float(np.mean(es_tests.fz0_score(part))) for part in pair]
    return {
        "portfolio": name,
        "model_hits": book.model.hits().x,
        "challenger_hits": book.challenger.hits().x,
        "expected": book.model.hits().n * config.p,
        "model_margin": float(book.model.margin.mean()),
        "challenger_margin": float(book.challenger.margin.mean()),
        "model_score": scores[0],
        "challenger_score": scores[1],
        "statistic": worse.statistic if isinstance(worse, BacktestTest) else np.nan,
        "p_model_is_worse": worse.p_asymptotic if isinstance(worse, BacktestTest) else worse.p_combined,
        "zone": zone,
    }


def challenger(config: ValidationConfig, runs: ValidationRuns) -> Section:
    """Return the comparative backtest of the model against its challenger."""
    table = pd.DataFrame([_against(name, book, config) for name, book in runs.books.items()])
    light: Light = (
        "red"
        if (table["zone"] == "red").any()
        else "yellow"
        if (table["zone"] == "yellow").any()
        else "green"
    )
    better, lower = (
        int((table["zone"] == "green").sum()),
        int((table["model_score"] < table["challenger_score"]).sum()),
    )
    return Section(
        key="challenger",
        title="Challenger model",
        light=light,
        verdict=f"{config.model} scores better than {config.challenger} on {lower} of {len(table)} "
                f"portfolios, "
        f"beyond doubt on {better}; worse beyond doubt on {int((table['zone'] == 'red').sum())}.",
        paragraphs=(
            "Mean score of VaR and ES together (FZ0), the lower the better, and the test of Diebold and "
            "Mariano. Green: "
            f"the model is better at {100 * config.alpha:g} %; red: it is worse; yellow: the data cannot "
            f"tell.",
        ),
        tables=(ReportTable(name="challenger", title="Model and challenger", frame=table),),
    )  # fmt: skip


def limits(config: ValidationConfig, runs: ValidationRuns) -> Section:
    """Return what the report cannot say, from the configuration and from the runs."""
    found = [("owner", text) for text in config.limits]
    n, expected = runs.n, runs.n * config.p
    found.append(("run", f"{n} dates with {expected:.1f} expected breaches a portfolio: see size and power"))
    if config.horizon > 1:
        found.append(("run", f"losses over {config.horizon} days share days: {n // config.horizon} do not"))
    if any(book.model.model_marked for book in runs.books.values()):
        found.append(("run", "option P&L is model-marked: implied vols are simulated, not observed"))
    found += [
        (
            "run",
            "constant books of notional 1: no concentration, no cost of liquidation, no change of position",
        ),
        ("run", "one history: regimes that it does not hold are not tested"),
    ]
    return Section(
        key="limits",
        title="Limits",
        light="grey",
        verdict=f"{len(found)} limits to be known before the model is used.",
        tables=(
            ReportTable(
                name="limits", title="Limits", frame=pd.DataFrame(found, columns=["stated_by", "limit"])
            ),
        ),
    )


def regulatory(config: ValidationConfig, runs: ValidationRuns) -> Section:
    """Return the requirements of EMIR, PFMI and the CFTC, each with result, evidence and status."""
    coverage: MarginCoverage = coverage_of(runs)
    table = regulatory_table(config, runs, coverage, apc_options(config, runs))
    missed, open_ = int((table["status"] == "not met").sum()), int((table["status"] == "not evaluable").sum())
    tables = [ReportTable(name="regulation", title="Requirements", frame=table)]
    for name, book in runs.books.items():
        if book.alone:
            cap = offset_cap(book)
            line = cap.mean().rename("mean").to_frame().T.rename_axis("per unit of notional")
            at: Any = (cap["alone"] - cap["combined"]).idxmax()
            line.loc[f"{at:%Y-%m-%d}, largest reduction"] = cap.loc[at]
            number = list(runs.books).index(name) + 1
            tables.append(
                ReportTable(
                    name=f"offset_cap_{number}", title=f"Offsets of {name}, with the cap of 80 %", frame=line
                )
            )
    return Section(
        key="regulation",
        title="Regulatory requirements",
        light="red" if missed else "yellow" if open_ else "green",
        verdict=f"{int((table['status'] == 'met').sum())} met, {missed} not met, {open_} not evaluable.",
        paragraphs=(
            "EMIR: Delegated Regulation (EU) 153/2013. PFMI: CPMI-IOSCO principles, 6. CFTC: 17 CFR 39.13. "
            "Each test is "
            "this package's reading of the text; options of article 28 are listed one by one, of which one "
            "suffices.",
        ),
        tables=tuple(tables),
    )
