"""One small validation, run once: two portfolios, one of two coins, 200 dates, a name that is markup."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pmkit.backtest import ConstantBook
from pmkit.backtest.walk import inventory
from pmkit.report.validation import ValidationConfig, ValidationReport, evidence, validate
from pmkit.report.validation import report as module
from pmkit.report.validation.runs import ValidationRuns, run_validation

NAME = "long <b>btc</b> & co"


@pytest.fixture(scope="session", autouse=True)
def few_draws() -> Iterator[None]:
    """Fewer simulations behind a p-value than a report has: the sections are tested, not the p-values."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "_DRAWS", 199)
        patch.setattr(inventory, "FEW_EXPECTED", 0.0)  # regressions by their limit law
        yield


@pytest.fixture(scope="session")
def config() -> ValidationConfig:
    return ValidationConfig(
        title="A <i>small</i> validation",
        purpose="tests",
        scope="two portfolios",
        history="crypto-daily-2020-2023",
        books=(
            ConstantBook.from_legs([{"underlying": "BTC", "kind": "perpetual", "weight": 1.0}], name=NAME),
            ConstantBook.preset("btc_eth_spread"),
        ),
        model="hs",
        challenger="fhs",
        start="2021-02-01",
        end="2021-08-19",
        refit_every=200,
        window=300,
        sensitivity={"level": [0.98], "window": [200]},
        limits=("only <script>alert(1)</script> 200 dates",),
    )


@pytest.fixture(scope="session")
def finished(config: ValidationConfig) -> tuple[ValidationReport, ValidationRuns]:
    """The report and the runs behind it."""
    kept: list[ValidationRuns] = []

    def keeping(*words: object) -> ValidationRuns:
        kept.append(run_validation(*words))  # type: ignore[arg-type]
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "run_validation", keeping)
        said: list[str] = []
        report = validate(config, progress=said.append)
    assert len(said) == 7 + 11
    return report, kept[0]


@pytest.fixture(scope="session")
def report(finished: tuple[ValidationReport, ValidationRuns]) -> ValidationReport:
    return finished[0]


@pytest.fixture(scope="session")
def runs(finished: tuple[ValidationReport, ValidationRuns]) -> ValidationRuns:
    return finished[1]


@pytest.fixture
def write_config(tmp_path) -> Callable[[str], str]:  # type: ignore[no-untyped-def]
    def write(text: str) -> str:
        path = tmp_path / "model.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write
