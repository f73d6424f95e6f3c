"""The verb ``surface``: fit a model to one chain or to a panel of chains, and say how well it fits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

import pmkit as pm
from pmkit.cli.guard import guarded, say
from pmkit.core.errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from pmkit.surface.panel import PanelFit

__all__ = ["surface"]

DEFAULT_MODELS = ("essvi-spline", "essvi", "svi", "pchip")


def surface(
    chain: Annotated[
        str | None, typer.Option("--chain", metavar="FILE_OR_NAME", help="Quotes of one instant.")
    ] = None,
    panel: Annotated[
        str | None,
        typer.Option("--panel", metavar="FILE", help="Quotes of many instants, parquet or CSV."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", metavar="NAME", help="Repeat for several; essvi-spline, essvi, svi, pchip by default."
        ),
    ] = None,
    underlying: Annotated[
        str | None, typer.Option("--underlying", metavar="NAME", help="Such as BTC; a panel needs it.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day of a panel.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day of a panel.")] = None,
    hold_out: Annotated[
        bool, typer.Option(help="Also fit every second strike and test on the others (twice the time).")
    ] = True,
    days: Annotated[bool, typer.Option("--days", help="Print every day of a panel.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON record on standard output and nothing else.")
    ] = False,
) -> None:
    """Fit a volatility surface to a chain, or day by day to a panel of chains."""
    names = list(model or DEFAULT_MODELS)
    with guarded() as notes:
        if (chain is None) == (panel is None):
            raise ParameterError(
                "both --chain and --panel" if chain else "neither --chain nor --panel",
                "one of them",
                "add --chain deribit-btc-2026-08-01, or --panel FILE --underlying BTC",
            )
        if chain is not None:
            found = _chain(chain, names, underlying, hold_out)
        else:
            found = _panel(str(panel), names, underlying, (first, last), hold_out)
        found.check()
    if as_json:
        print(json.dumps(_record(found), indent=2, allow_nan=False))
        for line in notes:
            say(f"note: {line}")
        return
    _print(found, every_day=days or chain is not None, one_instant=chain is not None)
    from pmkit.cli.show import print_lines

    print_lines("Notes and warnings", list(dict.fromkeys(notes)))


def _chain(name: str, models: list[str], underlying: str | None, hold_out: bool) -> PanelFit:
    entry = pm.market.datasets.find(name, kinds=("chain", "surface"))
    quotes = pm.market.read_quotes(name if entry is None else pm.market.datasets.path(entry.name))
    return pm.surface.fit_panel([quotes], models, underlying=underlying, hold_out=hold_out, keep=True)


def _panel(
    path: str, models: list[str], underlying: str | None, span: tuple[str | None, str | None], hold_out: bool
) -> PanelFit:
    from rich.console import Console
    from rich.progress import Progress

    if underlying is None:
        raise ParameterError(
            "a panel without --underlying", "the name of its underlying", "add --underlying BTC"
        )
    table = pm.market.read_quote_panel(path, underlying=underlying)
    if span != (None, None):
        begin, end = table.instants[0].isoformat(), table.instants[-1].isoformat()
        table = table.between(span[0] or begin, span[1] or end)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{len(table)} snapshots", total=len(table))
        return pm.surface.fit_panel(
            table, models, hold_out=hold_out, progress=lambda done: bar.update(task, completed=done)
        )


def _record(found: PanelFit) -> dict[str, object]:
    from pmkit.core.result import jsonable

    daily = found.to_frame().reset_index()
    daily["as_of"] = [stamp.isoformat() for stamp in daily["as_of"]]
    record: dict[str, object] = jsonable(
        {
            "source": found.source,
            "models": found.summary().to_dict(orient="index"),
            "expiries": {
                model: fitted.summary().rename_axis("expiry").reset_index().to_dict(orient="records")
                for (_, model), fitted in found.surfaces.items()
            },
            "days": daily.drop(columns=["inside", "squared", "held_inside"]).to_dict(orient="records"),
        }
    )
    return record


def _shares(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return the frame with shares in per cent and vol points in words."""
    out = frame.copy()
    for name in columns:
        out[name] = [f"{100.0 * v:.1f} %" if v == v else "–" for v in frame[name]]
    out["rmse"] = [f"{v:.3f}" if v == v else "–" for v in frame["rmse"]]
    return out


def _print(found: PanelFit, *, every_day: bool, one_instant: bool) -> None:
    import pandas as pd

    from pmkit.cli.show import print_frame, print_lines

    print(f"Surfaces of {found.source}")
    print("Shares of quotes repriced between bid and ask; RMSE in vol points; slices with arbitrage")
    short = found.summary().rename(columns={"held_out_inside": "held out"})
    print_frame(_shares(short, ("inside", "held out")))
    if one_instant:
        for (_, model), fitted in found.surfaces.items():
            print(f"\n{model}")
            table = fitted.summary()
            table = table.rename(columns={"butterfly_free": "butterfly", "calendar_free": "calendar"})
            for name in table.columns.intersection(["butterfly", "calendar"]):
                table[name] = table[name].map({True: "free", False: "arbitrage"})
            table.index.name = "expiry"
            print_frame(table.round({"tau": 4, "forward": 2, "atm_iv": 4, "inside": 3}))
    elif every_day:
        shown = found.to_frame().reset_index()
        shown["as_of"] = [f"{stamp:%Y-%m-%d %H:%M}" for stamp in shown["as_of"]]
        columns = ["as_of", "model", "expiries", "points", "inside_share", "rmse", "butterfly", "calendar",
                   "held_share"]  # fmt: skip
        print_frame(_shares(shown[columns], ("inside_share", "held_share")).set_index("as_of"))
    frame = found.table
    times = pd.DatetimeIndex(frame.index.get_level_values("as_of"))
    gone = [
        f"{stamp:%Y-%m-%d %H:%M} {model}: {detail}"
        for stamp, model, detail in zip(
            times, frame.index.get_level_values("model"), frame["detail"], strict=True
        )
        if detail
    ]
    print_lines("Expiries and days without a surface, and why", gone)
