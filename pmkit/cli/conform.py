"""The verb ``conform``: run case files under a rule and print expected, got and difference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

import pmkit as pm
from pmkit.cli.guard import guarded, say

if TYPE_CHECKING:
    from pmkit.margin import Conformance

__all__ = ["MISSED", "conform"]

#: Exit code where a figure is outside its tolerance.
MISSED = 1


def conform(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Name of a rule, such as derive-pmrm-v2.")],
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Case files: JSON or JSON lines, also gzipped.")
    ],
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0.0,
            help="Largest difference, relative above 1 and absolute below; that of each case by default.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON record on standard output and nothing else.")
    ] = False,
) -> None:
    """Check a rule against cases: expected, got and difference of IM, MM and the worst scenario."""
    with guarded() as notes:
        found = pm.margin.conform(rule, files, tolerance=tolerance)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2, allow_nan=False, ensure_ascii=False))
        for line in notes:
            say(f"note: {line}")
    else:
        _print(found, notes)
    if not found.ok:
        raise typer.Exit(MISSED)


def _print(found: Conformance, notes: list[str]) -> None:
    """Print one line a figure, and at last the number of cases within the tolerance."""
    from pmkit.cli.show import print_lines

    print(f"{'case':<42} {'item':<6} {'expected':>22} {'got':>22} {'difference':>10}  ")
    for line in found.lines:
        mark = "ok" if line.ok else "MISS"
        name = line.case if len(line.case) <= 42 else f"{line.case[:41]}…"
        print(
            f"{name:<42} {line.item:<6} {line.expected:>22.12g} {line.got:>22.12g}"
            f" {line.difference:>10.1e}  {mark} {line.note}".rstrip()
        )
    print(f"{found.cases - found.misses} of {found.cases} cases of {found.rule} within the tolerance")
    print_lines("Notes and warnings", notes)
