"""What the rules for central counterparties ask of a margin model, each as a test with its evidence."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binom

from pmkit.backtest import MarginCoverage, called_margin, procyclicality_frontier
from pmkit.report.validation.config import ValidationConfig
from pmkit.report.validation.runs import APC_STRENGTHS, BookRuns, ValidationRuns

__all__ = ["apc_options", "offset_cap", "regulatory_table", "stress_share"]

_LEVEL = {"otc": 0.995, "listed": 0.99, "client": 0.99}
_DAYS = {"otc": 5, "listed": 2, "client": 1}
_PRODUCT = {"otc": "over the counter", "listed": "listed", "client": "listed, client accounts held gross"}
#: With a larger chance that a right model shows no breach at all, a sample without breaches says nothing.
_SILENT = 0.3


class _Row(NamedTuple):
    rule: str
    test: str
    result: str
    evidence: str
    status: str


def _status(met: bool) -> str:
    return "met" if met else "not met"


def offset_cap(book: BookRuns, share: float = 0.8) -> pd.DataFrame:
    """Return margin alone, combined and with the cap on the reduction, by date, per unit of notional.

    Parameters
    ----------
    book : BookRuns
        With the margins of the parts.
    share : float
        Largest share of the reduction that may be granted, in [0, 1].

    Returns
    -------
    DataFrame
        ``alone`` (sum of the parts), ``combined``, ``capped`` = alone - share·(alone - combined), where that
        is the larger.

    Notes
    -----
    EMIR article 27: 100 and 80 alone and 60 combined need 180 - 0.8·120 = 84.
    """
    alone = pd.DataFrame(dict(book.alone)).sum(axis=1)
    combined = book.called
    capped = np.maximum(combined, alone - share * (alone - combined))
    return pd.DataFrame({"alone": alone, "combined": combined, "capped": capped})


def stress_share(runs: ValidationRuns, window: int) -> float:
    """Return the share of dates whose look-back holds a stressed day of the first underlying, in [0, 1].

    A day is stressed where the deviation of the last 30 returns is among the highest 5 % of the history.
    """
    returns = runs.history.returns(runs.history.assets[0]).iloc[:, 0]
    deviation = returns.rolling(30).std(ddof=1)
    stressed = (deviation >= deviation.quantile(0.95)).astype(float)
    seen = stressed.rolling(window, min_periods=1).max()
    dates = next(iter(runs.books.values())).model.frame.index
    return float(seen.reindex(dates).mean())


def apc_options(config: ValidationConfig, runs: ValidationRuns) -> pd.DataFrame:
    """Return what each option of EMIR article 28 would do to the margin of the first book.

    One row each for the model without a tool, a buffer of 25 % and a stressed weight of 25 %: coverage,
    breaches, mean, ratio of extremes, largest relative rise in five days.
    """
    book = runs.books[config.books[0].name]
    names = {"none": "model alone", "buffer": "buffer of 25 %", "stress-weight": "stressed weight of 25 %"}
    paths = {text: called_margin(book.model.margin, **APC_STRENGTHS[key]) for key, text in names.items()}
    table = procyclicality_frontier(paths, book.model.frame["pnl"], days=5).to_frame()
    wanted = ["coverage", "breaches", "mean", "peak_to_trough", "rise"]
    return table[wanted].rename_axis("margin").reset_index()


def _coverage_rows(
    rule: str, needed: float, coverage: MarginCoverage, config: ValidationConfig
) -> list[_Row]:
    """Return whether achieved coverage contradicts the level, one row a portfolio."""
    rows = []
    p = round(1.0 - needed, 12)
    for name, line in coverage.by_account().iterrows():
        n, x = int(line["n"]) // config.horizon, math.ceil(int(line["breaches"]) / config.horizon)
        worse = float(binom.sf(x - 1, n, p))
        silent = float(binom.pmf(0, n, p))
        if worse <= config.alpha:
            status = "not met"
        elif silent > _SILENT:
            status = "not evaluable"
        else:
            status = "met"
        rows.append(
            _Row(
                rule,
                f"{name}: losses covered with {100 * needed:g} %",
                f"{100 * float(line['coverage']):.2f} % of {int(line['n'])} dates, {int(line['breaches'])} "
                f"breaches",
                f"a right model has {x} or more in {n} with probability {worse:.3f}",
                status,
            )
        )
    return rows


def _emir(
    config: ValidationConfig, runs: ValidationRuns, coverage: MarginCoverage, options: pd.DataFrame
) -> list[_Row]:
    needed, days = _LEVEL[config.product], _DAYS[config.product]
    product = _PRODUCT[config.product]
    years = (runs.history.prices.index[-1] - runs.history.prices.index[0]).days / 365.25
    calendar_days = config.window * 365 / runs.history.periods_per_year
    share = stress_share(runs, config.window)
    rows = [
        _Row(
            "EMIR 24",
            f"confidence of {100 * needed:g} % or more ({product})",
            f"{100 * config.level:g} %",
            "level of the configuration",
            _status(config.level >= needed),
        ),
        *_coverage_rows("EMIR 24", needed, coverage, config),
        _Row(
            "EMIR 25",
            "look-back of 12 months or more",
            f"{calendar_days:.0f} days",
            "window of the model",
            _status(calendar_days >= 365),
        ),
        _Row(
            "EMIR 25",
            "the look-back holds stressed conditions",
            f"on {100 * share:.1f} % of the dates",
            "a day among the 5 % with the highest 30-day deviation",
            _status(share == 1.0),
        ),
        _Row(
            "EMIR 26",
            f"liquidation period of {days} day(s) or more ({product})",
            f"{config.horizon} day(s)",
            "horizon of the configuration",
            _status(config.horizon >= days),
        ),
    ]
    for name, book in runs.books.items():
        if not book.alone:
            continue
        cap = offset_cap(book)
        reduced = float((cap["alone"] > cap["combined"]).mean())
        lift = float(cap["capped"].mean() / cap["combined"].mean() - 1.0)
        rows.append(
            _Row(
                "EMIR 27",
                f"{name}: at most 80 % of the reduction by offsets",
                f"100 % granted on {100 * reduced:.1f} % of the dates; the cap would add {100 * lift:.1f} %",
                "margins of each underlying alone, same model and dates",
                _status(reduced == 0.0),
            )
        )
    if not any(book.alone for book in runs.books.values()):
        rows.append(
            _Row(
                "EMIR 27",
                "at most 80 % of the reduction by offsets",
                "no book has two underlyings",
                "",
                "not evaluable",
            )
        )
    rows.append(
        _Row(
            "EMIR 27",
            "dependence significant and reliable, with a rationale",
            "a judgement",
            "",
            "not evaluable",
        )
    )
    tools = {"buffer": "buffer of 25 %", "stress-weight": "stressed weight of 25 %"}
    effects: dict[Any, Any] = options.set_index("margin").to_dict(orient="index")
    plain = effects["model alone"]
    for key, text in tools.items():
        found = effects[text]
        effect = (
            f"mean margin {100 * (found['mean'] / plain['mean'] - 1):+.1f} %, largest 5-day rise "
            f"{100 * found['rise']:.0f} % against {100 * plain['rise']:.0f} %"
        )
        used = config.apc == key
        rows.append(
            _Row(
                "EMIR 28",
                text,
                "used" if used else "not used",
                f"effect: {effect}",
                "met" if used else "option",
            )
        )
    rows += [
        _Row(
            "EMIR 28",
            "margin not below that of ten years of volatility",
            f"the history holds {years:.1f} years",
            "",
            "option" if years >= 10.0 else "not evaluable",
        ),
        _Row(
            "EMIR 28",
            "at least one of the three options",
            "none" if config.apc == "none" else tools[config.apc],
            "configuration",
            _status(config.apc != "none"),
        ),
    ]
    return rows


def _principles(config: ValidationConfig, runs: ValidationRuns, coverage: MarginCoverage) -> list[_Row]:
    n = runs.n
    varied = "" if runs.sensitivity is None else ", ".join(runs.sensitivity.summary().index)
    return [
        _Row(
            "PFMI 6",
            "99 % or more of future exposure, one tail",
            f"{100 * config.level:g} %",
            "level of the configuration",
            _status(config.level >= 0.99),
        ),
        *_coverage_rows("PFMI 6", 0.99, coverage, config),
        _Row("PFMI 6", "daily backtests", f"{n} dates, each portfolio", "section Backtests", _status(n > 0)),
        _Row(
            "PFMI 6",
            "sensitivity analysis",
            varied or "none",
            "section Sensitivities; that it is monthly cannot be seen here",
            _status(bool(varied)),
        ),
        _Row(
            "PFMI 6",
            "offsets hold in stress; calls within the day",
            "practice of the operator",
            "",
            "not evaluable",
        ),
        _Row(
            "CFTC 39.13(g)(2)(ii)",
            "liquidation time of one day or more (futures, options)",
            f"{config.horizon} day(s)",
            "horizon of the configuration; other swaps need 5",
            _status(config.horizon >= (5 if config.product == "otc" else 1)),
        ),
        *_coverage_rows("CFTC 39.13(g)(2)(iii)", 0.99, coverage, config),
        _Row(
            "CFTC 39.13(g)(4)",
            "spread reductions rest on theory and data",
            "a judgement",
            "",
            "not evaluable",
        ),
        _Row(
            "CFTC 39.13(g)(3)",
            "validation by a qualified, independent party",
            "a matter of organisation",
            "",
            "not evaluable",
        ),
    ]


def regulatory_table(
    config: ValidationConfig, runs: ValidationRuns, coverage: MarginCoverage, options: pd.DataFrame
) -> pd.DataFrame:
    """Return one row a requirement: rule, test, result, evidence, status.

    Status is ``met``, ``not met``, ``not evaluable`` (the data or a computer cannot decide) or ``option``
    (one of several of which one suffices). Coverage is not met where the exact binomial test rejects it at
    the configured alpha, and not evaluable where a right model would show no breach with probability above
    30 %. Losses over several days count as one in every horizon.

    References
    ----------
    European Commission (2013), articles 24 to 28; CPMI-IOSCO (2012), principle 6.
    """
    rows = [*_emir(config, runs, coverage, options), *_principles(config, runs, coverage)]
    return pd.DataFrame(rows)
