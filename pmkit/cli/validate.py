"""The verb ``validate``: run a model along a history and write the report that a reviewer reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pmkit.cli.guard import guarded, say
from pmkit.core.errors import ParameterError

if TYPE_CHECKING:
    from pmkit.report import ValidationReport
    from pmkit.report.validation import ValidationConfig

__all__ = ["MODEL_NAMES", "validate"]

#: As listed by :func:`pmkit.backtest.forecast_models`; written out, as help must not load the models.
MODEL_NAMES = "fhs, hs, gjr-t, fhs-joint, evt, ewma-normal, matrix"


def validate(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[ACCOUNT|CONFIG]",
            help="Configuration (.toml), or an account CSV or data set that becomes the only portfolio; "
            "the shipped configuration on BTC and ETH where absent.",
        ),
    ] = None,
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="Folder for validation.html and tables/*.csv.")
    ] = "validation",
    snapshot: Annotated[
        list[str] | None,
        typer.Option(
            "--snapshot",
            metavar="FILE_OR_NAME",
            help="With an account: chain that gives tenor and moneyness; repeat for one file a coin.",
        ),
    ] = None,
    history: Annotated[
        str | None,
        typer.Option("--history", metavar="FILE_OR_NAME", help="Daily prices in place of those configured."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help=f"Model under test: {MODEL_NAMES}.")
    ] = None,
    challenger: Annotated[
        str | None,
        typer.Option("--challenger", metavar="NAME", help="Model it is compared with, any of them."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON record on standard output and nothing else.")
    ] = False,
) -> None:
    """Validate a margin model: one HTML report and its tables, with a traffic light a section."""
    with guarded() as notes:
        from pmkit.report.validation import validate as run

        chosen = {"model": model, "challenger": challenger, "history": history}
        config = _config(source, snapshot, {key: name for key, name in chosen.items() if name is not None})
        report = run(config, progress=say)
        written = report.write(out)
    if as_json:
        print(json.dumps(report.to_dict(), indent=2, allow_nan=False, ensure_ascii=False))
        for line in notes:
            say(f"note: {line}")
        return
    _print(report, notes, written)


def _config(source: str | None, snapshot: list[str] | None, chosen: dict[str, Any]) -> ValidationConfig:
    """Return the configuration of a file, or the shipped one with an account as its only portfolio.

    What was chosen on the command line takes the place of what either says.
    """
    from pmkit.cli import inputs
    from pmkit.report.validation import account_book, load_validation_config

    if source is None or source.endswith(".toml"):
        if snapshot:
            raise ParameterError(
                "--snapshot without an account", "an account CSV or data set", "leave --snapshot out"
            )
        return replace(load_validation_config(source), **chosen)
    account = inputs.open_account(source)
    if not snapshot:
        raise ParameterError(
            f"account {account.name!r} without a market",
            "a chain that gives tenor and moneyness of each line",
            "add --snapshot FILE_OR_NAME",
        )
    config = replace(load_validation_config(), **chosen)
    book, left_out = account_book(account, inputs.open_snapshot(snapshot), horizon=config.horizon)
    limits = ["collateral is left out: the positions alone are judged"]
    if left_out:
        limits.append(
            f"{len(left_out)} lines expire inside the horizon and are left out: {', '.join(left_out)}"
        )
    return replace(
        config,
        title=f"{config.model} on the positions of {account.name}",
        purpose=f"Initial margin of the positions of {account.name} by value at risk at "
        f"{100 * config.level:g} % over {config.horizon} day(s), per unit of gross notional.",
        scope="The account's lines at constant tenor and moneyness, set up anew at each close.",
        books=(book,),
        limits=tuple(limits),
        assumptions=("tenor and moneyness of each line stay what they are in the snapshot",),
    )


def _print(report: ValidationReport, notes: list[str], written: tuple[Path, ...]) -> None:
    """Print the conclusion, one line a section, and where the report is."""
    from pmkit.cli.show import print_frame, print_lines

    print(report.title)
    print(report.conclusion)
    print_frame(report.summary())
    print_lines("Notes and warnings", notes)
    print(f"report: {written[0]} and {len(written) - 1} tables")
