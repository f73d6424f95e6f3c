"""Sections on what a model stands on: purpose, data, assumptions, parameters, implementation."""

from __future__ import annotations

import pandas as pd

from pmkit.backtest import forecast_models
from pmkit.backtest.walk.forecasters import MODEL_PARAMETERS
from pmkit.core.result import format_number
from pmkit.market import datasets
from pmkit.report.validation.checks import implementation_checks
from pmkit.report.validation.config import ValidationConfig
from pmkit.report.validation.parts import Light, ReportTable, Section
from pmkit.report.validation.runs import ValidationRuns

__all__ = ["assumptions", "implementation", "lineage", "parameters", "purpose"]


def purpose(config: ValidationConfig, runs: ValidationRuns) -> Section:
    """Return what the model is for, which portfolios stand for its use, and what lies outside."""
    rows = [
        {"portfolio": book.name, "leg": text, "numeraire": book.numeraire}
        for book in config.books
        for text in book.summary()["leg"]
    ]
    frame, words = next(iter(runs.books.values())).model.frame, forecast_models()
    return Section(
        key="purpose",
        title="Purpose and scope",
        light="grey",
        verdict=f"{len(config.books)} portfolios, {len(frame)} forecasts each, "
        f"{frame.index[0]:%Y-%m-%d} to {frame.index[-1]:%Y-%m-%d}.",
        paragraphs=(
            f"Purpose. {config.purpose}",
            f"Scope. {config.scope}",
            f"Model under test: {config.model}, {words[config.model]}. Challenger: {config.challenger}, "
            f"{words[config.challenger]}. Tool against procyclicality: {config.apc}.",
            "Portfolios are set up anew at each close with a notional of 1, so that a breach says something "
            "about the model and nothing about a trader. Figures are per unit of notional.",
        ),
        tables=(ReportTable(name="portfolios", title="Portfolios", frame=pd.DataFrame(rows)),),
    )


def lineage(config: ValidationConfig, runs: ValidationRuns) -> Section:
    """Return where the data come from, with fingerprints, gaps and whether the checksum holds."""
    history = runs.history
    first, last = history.prices.index[0], history.prices.index[-1]
    shipped = config.history in datasets.list().index
    checksum = "not in the manifest"
    if shipped:
        checksum = str(datasets.verify().loc[config.history, "sha256"])
    rows = [
        ("prices", history.source, f"{first:%Y-%m-%d} to {last:%Y-%m-%d}", len(history.prices),
         history.simulated,
         history.fingerprint),
    ]  # fmt: skip
    if runs.vol_path is not None:
        rows.append(
            ("implied vols", runs.vol_path.label, f"{first:%Y-%m-%d} to {last:%Y-%m-%d}",
             len(history.prices), runs.vol_path.simulated, runs.vol_path.provenance.id)
        )  # fmt: skip
    sources = pd.DataFrame(rows, columns=["data", "source", "range", "rows", "simulated", "fingerprint"])
    marks = [("configuration", config.fingerprint)]
    for name, book in runs.books.items():
        marks += [
            (f"{name} under {config.model}", book.model.provenance.id),
            (f"{name} under {config.challenger}", book.challenger.provenance.id),
        ]
    gaps = history.gaps
    simulated = bool(sources["simulated"].any())
    light: Light = "green" if shipped and not simulated and gaps.empty else "yellow"
    found = [
        "the shipped file agrees with its checksum"
        if shipped
        else "the file is the user's own, without a checksum",
        f"{len(gaps)} gaps" if len(gaps) else "no gap in the prices used",
    ]
    if simulated:
        found.append("some inputs are simulated: P&L of options is model-marked")
    return Section(
        key="lineage",
        title="Data and their lineage",
        light=light,
        verdict=f"{found[0][:1].upper()}{found[0][1:]}; {'; '.join(found[1:])}.",
        paragraphs=(f"SHA-256 of the price file: {checksum}.",),
        tables=(
            ReportTable(name="data_sources", title="Data", frame=sources),
            *((ReportTable(name="gaps", title="Gaps", frame=gaps),) if len(gaps) else ()),
            ReportTable(
                name="fingerprints",
                title="Fingerprints of inputs and runs",
                frame=pd.DataFrame(marks, columns=["of", "fingerprint"]),
                note="Equal fingerprints give equal figures.",
            ),
        ),
    )


def assumptions(config: ValidationConfig, runs: ValidationRuns) -> Section:
    """Return what the figures take for granted, and where an assumption bent."""
    stated = [("owner", text) for text in config.assumptions]
    stated += [("run", text) for text in dict.fromkeys(t for b in runs.books.values() for t in b.model.notes)]
    stated += [
        ("run", "portfolios are static over the horizon and can be closed at its end at the price then seen"),
        ("run", "days of the window are exchangeable after filtering" if config.model == "fhs"
         else "the model's law holds over the horizon"),
    ]  # fmt: skip
    bent: dict[str, list[str]] = {}
    for name, book in runs.books.items():
        for text in book.model.warnings:
            bent.setdefault(text, []).append(name)
    rows = [(text, ", ".join(names)) for text, names in bent.items()]
    tables = [
        ReportTable(
            name="assumptions",
            title="Assumptions",
            frame=pd.DataFrame(stated, columns=["stated_by", "assumption"]),
        )
    ]
    if rows:
        tables.append(
            ReportTable(
                name="bent_assumptions",
                title="Where an assumption bent",
                frame=pd.DataFrame(rows, columns=["finding", "portfolios"]),
            )
        )
    return Section(
        key="assumptions",
        title="Assumptions",
        light="yellow" if rows else "green",
        verdict=f"{len(stated)} assumptions; {len(rows)} findings of the runs bear on them.",
        tables=tuple(tables),
    )


def parameters(config: ValidationConfig, runs: ValidationRuns) -> Section:
    """Return the settings, and the fitted parameters with the state of their fits."""
    settings = {
        **config.walk_settings, **MODEL_PARAMETERS.get(config.model, {}), "alpha": config.alpha,
        "product": config.product, "apc": config.apc, "rise_5d": config.rise_5d,
        "peak_to_trough": config.peak_to_trough,
    }  # fmt: skip
    tables = [
        ReportTable(
            name="settings",
            title="Settings",
            frame=pd.DataFrame(
                [
                    (k, format_number(float(v)) if isinstance(v, float) else str(v))
                    for k, v in settings.items()
                ],
                columns=["parameter", "value"],
            ),
            note="Thresholds of procyclicality (rise_5d, peak_to_trough) are this validation's own.",
        )
    ]
    fits = pd.concat([book.model.refits for book in runs.books.values()], ignore_index=True)
    if fits.empty:
        return Section(
            key="parameters", title="Parameters", light="green",
            verdict="The model has no fitted parameter.", tables=tuple(tables),
        )  # fmt: skip
    fits = fits.drop_duplicates(["date", "underlying"])
    names = ["mu", "omega", "alpha", "gamma", "beta", "nu"]
    spread = fits.groupby("underlying")[names].describe(percentiles=[0.5])
    ranges = [
        (coin, name, *(float(spread.loc[coin, (name, key)]) for key in ("min", "50%", "max")))
        for coin in spread.index
        for name in names
    ]
    counts = fits.groupby(["underlying", "status"]).size().rename("fits").reset_index()
    bad = int((fits["status"] == "not_converged").sum())
    bound = int((fits["status"] == "at_bound").sum())
    light: Light = "red" if bad > 0.05 * len(fits) else "yellow" if bad or bound else "green"
    tables += [
        ReportTable(name="fit_status", title="State of the fits", frame=counts),
        ReportTable(
            name="fitted_parameters",
            title="Fitted parameters along the walk",
            frame=pd.DataFrame(ranges, columns=["underlying", "parameter", "lowest", "median", "highest"]),
            note="In daily decimal returns.",
        ),
    ]
    return Section(
        key="parameters",
        title="Parameters",
        light=light,
        verdict=f"{len(fits)} fits: {bad} did not converge, {bound} ended at a bound.",
        paragraphs=(
            "Red above 5 % of fits that do not converge; yellow where any fails or ends at a bound.",
        ),
        tables=tuple(tables),
    )


def implementation(config: ValidationConfig, runs: ValidationRuns) -> Section:
    """Return the checks that were run with this report."""
    checks = implementation_checks(config, runs)
    failed = int((~checks["passed"]).sum())
    return Section(
        key="implementation",
        title="Implementation checks",
        light="red" if failed else "green",
        verdict=f"{len(checks) - failed} of {len(checks)} checks passed.",
        paragraphs=(
            "Run anew for this report: published figures of the tests, the first dates of a walk repeated, "
            "the same "
            "dates with every later price changed, a doubled position, the identities of every run.",
        ),
        tables=(ReportTable(name="implementation_checks", title="Checks", frame=checks),),
    )
