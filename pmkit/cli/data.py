"""The verbs of ``pmkit data``: what ships with the package and is unchanged, and the dated sets of rules."""

from __future__ import annotations

import json
import math
from typing import Annotated

import typer

import pmkit as pm
from pmkit.cli.guard import guarded

__all__ = ["data_app"]

data_app = typer.Typer(
    help="The data sets and parameter sets that ship with pmkit.", no_args_is_help=True, rich_markup_mode=None
)

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON record on standard output and nothing else.")
]


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the data sets that ship with pmkit."""
    with guarded():
        frame = pm.datasets.list()
    if as_json:
        print(json.dumps(frame.reset_index().to_dict(orient="records"), indent=2, default=str))
        return
    from pmkit.cli.show import print_frame

    frame["simulated"] = frame["simulated"].map({True: "yes", False: "no"})
    print_frame(frame[["kind", "simulated", "rows", "licence", "title"]])


@data_app.command("verify")
def data_verify(as_json: AsJson = False) -> None:
    """Compare every shipped file with its checksum."""
    with guarded():
        frame = pm.datasets.verify()
    if as_json:
        print(json.dumps(frame.reset_index().to_dict(orient="records"), indent=2))
        return
    from pmkit.cli.show import print_frame

    print_frame(frame.assign(sha256=frame["sha256"].str[:16]).set_index("file").drop(columns="ok"))
    print(f"{len(frame)} files as in the manifest")


@data_app.command("rules")
def data_rules(
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="NAME", help="Repeat for several; all by default."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DATE", help="Day that ages are counted to; today by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the dated parameter sets of the rules: dates, age, what is assumed, checksum, source."""
    with guarded():
        from pmkit.cli.inputs import parameter_sets

        day, frame = parameter_sets(rule, as_of)
    if as_json:
        plain = frame.reset_index().astype(object)
        record = {"as_of": day, "sets": plain.where(plain.notna(), None).to_dict(orient="records")}
        print(json.dumps(record, indent=2, default=str, allow_nan=False, ensure_ascii=False))
        return
    from pmkit.cli.show import print_frame, print_lines

    print(f"{len(frame)} parameter sets; ages in days to {day}; - is not known, or no observation")
    for name, sets in frame.groupby("rule", sort=False):
        print(f"\n{name}")
        ages = ["-" if math.isnan(age) else f"{age:.0f}" for age in sets["age_days"]]
        columns = ["variant", "valid_from", "last_observed", "valid_to", "age", "checksum"]
        print_frame(sets.assign(age=ages)[columns].fillna("-"))
        print_lines(
            "Confidence and source",
            [f"{key}: {row.confidence}, dates {row.dates}; {row.source}" for key, row in sets.iterrows()],
        )
