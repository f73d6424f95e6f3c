"""The command ``pmkit``: one verb a job; a table for people, ``--json`` for programs."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

import pmkit as pm
from pmkit.cli.conform import conform
from pmkit.cli.data import data_app
from pmkit.cli.guard import guarded, say
from pmkit.cli.surface import surface
from pmkit.cli.validate import validate

if TYPE_CHECKING:
    from pmkit.margin import Account, Comparison
    from pmkit.market import MarketSnapshot

__all__ = ["app"]

app = typer.Typer(
    name="pmkit",
    help="Portfolio margin for crypto and listed derivatives.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")
app.command()(surface)
app.command()(conform)
app.command()(validate)


class Stale(StrEnum):
    """What happens where a parameter set is older than the date."""

    WARN = "warn"
    ERROR = "error"


def _option(flag: str, metavar: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(flag, metavar=metavar, help=text)
    return option


AccountFile = Annotated[
    str | None, _option("--account", "FILE", "Account CSV, or the name of an account data set.")
]
AccountFiles = Annotated[
    list[str] | None, _option("--account", "FILE", "As for margin; repeat for several accounts.")
]
SnapshotFiles = Annotated[
    list[str] | None,
    _option("--snapshot", "FILE_OR_NAME", "Chain CSV or data set; repeat for one file a coin."),
]
HistoryFile = Annotated[
    str | None,
    _option("--history", "FILE_OR_NAME", "Daily prices, CSV or data set; the shipped history by default."),
]
RuleNames = Annotated[list[str] | None, _option("--rule", "NAME", "Repeat for several; all four by default.")]
Variant = Annotated[
    str | None, _option("--variant", "NAME", "Variant of deribit-pm: spm (default), classic, xpm.")
]
AsOf = Annotated[
    str | None,
    _option("--as-of", "DATE", "Day that selects the parameter sets; that of the snapshot by default."),
]
StaleChoice = Annotated[Stale, typer.Option(help="Parameters past their last observation: warn, or refuse.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON record on standard output and nothing else.")
]
ReportFile = Annotated[str | None, _option("--report", "FILE", "Write a self-contained HTML report.")]
Example = Annotated[
    bool,
    typer.Option("--example", help="The shipped market-maker account on the real BTC chain of 2026-08-01."),
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"pmkit {pm.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Portfolio margin for crypto and listed derivatives."""


@app.command()
def margin(
    account: AccountFile = None,
    snapshot: SnapshotFiles = None,
    history: HistoryFile = None,
    rule: RuleNames = None,
    variant: Variant = None,
    as_of: AsOf = None,
    stale: StaleChoice = Stale.WARN,
    as_json: AsJson = False,
    report: ReportFile = None,
    example: Example = False,
) -> None:
    """Margin one account under one or several rules."""
    with guarded() as notes:
        from pmkit.cli import inputs
        from pmkit.cli.listed import common_scenarios, level_note

        (account_name,), market_names = inputs.chosen_sources(account, snapshot, example=example)
        market = inputs.open_snapshot(market_names)
        held = inputs.open_account(account_name)
        day = inputs.calculation_day(as_of, market)
        rules = inputs.build_rules(
            rule or inputs.DEFAULT_RULES,
            as_of=day,
            variant=variant,
            stale=stale.value,
            estimation_error=report is not None,
        )
        prices = None if history is None else pm.market.load_history(history)
        common = common_scenarios([held], market, prices)
        found = pm.margin.compare(held, market, rules=rules, history=prices, common=common, stale=stale.value)
        note = inputs.simulated_note(account_name)
        level = level_note(common)
        if report is not None:
            pm.report.write_margin_report(report, found, held, market, note=note)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2, allow_nan=False, ensure_ascii=False))
        for line in notes:
            say(f"note: {line}")
    else:
        _print_margin(found, held, market, [note, level, *notes])
    if report is not None:
        (say if as_json else print)(f"report written to {report}")


def _print_margin(found: Comparison, held: Account, market: MarketSnapshot, notes: list[str]) -> None:
    """Print the margin table of one account with what a reader must know."""
    from pmkit.cli.show import print_lines, print_rows
    from pmkit.report.tables import error_lines, margin_rows, rule_title

    place = f"{market.source}, {market.as_of:%Y-%m-%d %H:%M:%S} UTC"
    print(f"Margin of {found.account}: {len(held.portfolio)} positions on {place}")
    print_rows([rule_title(r) for r in found.results], margin_rows(found.results, market))
    errors = error_lines(found.results)
    if found.settled:
        errors.append(
            f"{len(found.settled)} lines of the account settle inside the horizon, on the simulated path"
        )
    print_lines("Figures and their errors", errors)
    said = [*notes, *found.warnings, *market.notes, *(note for r in found.results for note in r.notes)]
    print_lines("Notes and warnings", [line for line in dict.fromkeys(said) if line])


@app.command()
def compare(
    account: AccountFiles = None,
    snapshot: SnapshotFiles = None,
    history: HistoryFile = None,
    rule: RuleNames = None,
    variant: Variant = None,
    as_of: AsOf = None,
    stale: StaleChoice = Stale.WARN,
    as_json: AsJson = False,
    example: Example = False,
) -> None:
    """Compare several accounts under several rules: one line for each pair."""
    with guarded() as notes:
        from pmkit.cli import inputs
        from pmkit.cli.listed import common_scenarios, level_note

        account_names, market_names = inputs.chosen_sources(account, snapshot, example=example)
        market = inputs.open_snapshot(market_names)
        day = inputs.calculation_day(as_of, market)
        rules = inputs.build_rules(
            rule or inputs.DEFAULT_RULES,
            as_of=day,
            variant=variant,
            stale=stale.value,
            estimation_error=False,
        )
        prices = None if history is None else pm.market.load_history(history)
        held = [inputs.open_account(name) for name in account_names]
        common = common_scenarios(held, market, prices)
        found = [
            pm.margin.compare(one, market, rules=rules, history=prices, common=common, stale=stale.value)
            for one in held
        ]
        simulated = dict.fromkeys([*map(inputs.simulated_note, account_names), level_note(common)])
    if as_json:
        record = {"as_of": market.as_of.isoformat(), "accounts": [one.to_dict() for one in found]}
        print(json.dumps(record, indent=2, allow_nan=False, ensure_ascii=False))
        for line in notes:
            say(f"note: {line}")
        return
    from pmkit.cli.show import print_frame, print_lines
    from pmkit.report.tables import comparison_frame

    print(f"{len(found)} accounts on {market.source}, {market.as_of:%Y-%m-%d %H:%M:%S} UTC")
    print("IM against equity, equity in USD; netting benefit; implied level on the common scenarios")
    print_frame(comparison_frame(found))
    print_lines("Notes and warnings", [line for line in (*simulated, *notes, *market.notes) if line])


@app.command()
def warmup() -> None:
    """Compile the numeric kernels once, so that later runs start fast."""
    with guarded():
        from pmkit.cli.inputs import compile_everything

        seconds = compile_everything()
    print(f"kernels compiled and kept in {seconds:.1f} s")
