"""The explorer with sliders: ipywidgets over :class:`MarginExplorer`, in a notebook or served by Voilà."""

from __future__ import annotations

import html
import importlib
import warnings
from typing import Any

from pmkit.core.errors import OptionalDependencyError, PmkitError, PmkitWarning
from pmkit.instruments import Position
from pmkit.report.explorer.margin_explorer import MarginExplorer
from pmkit.report.explorer.picture import ExplorerPicture
from pmkit.report.explorer.view import ExplorerView
from pmkit.report.tables import amount, percent, rule_title

__all__ = ["ExplorerPanel"]


def _ipywidgets() -> Any:
    """Return ipywidgets, or say how to get it."""
    try:
        return importlib.import_module("ipywidgets")
    except ImportError:
        raise OptionalDependencyError(
            "ipywidgets is not installed", "ipywidgets for sliders", 'pip install "pmkit[app]"'
        ) from None


class ExplorerPanel:
    """Sliders for spot and vol, a choice of rules, a form for legs; picture and numbers follow.

    The panel displays itself in a notebook. What a reader sets stays in his own kernel.

    Parameters
    ----------
    explorer : MarginExplorer
    picture : ExplorerPicture, optional
        One of another size.

    Attributes
    ----------
    spot, vol : ipywidgets.FloatSlider
        Moves in per cent.
    rule : ipywidgets.Dropdown
    contract : ipywidgets.Combobox
    qty : ipywidgets.FloatText
    add, clear : ipywidgets.Button
    image : ipywidgets.Image
    numbers, message : ipywidgets.HTML
        The table of numbers, and what could not be done.
    legs : tuple of Position
        Legs so far; a contract that is bought twice is one leg.
    view : ExplorerView or None
        What is shown; None where the rule refused.

    Raises
    ------
    OptionalDependencyError
        ipywidgets is not installed.
    """

    def __init__(self, explorer: MarginExplorer, picture: ExplorerPicture | None = None) -> None:
        widgets = _ipywidgets()
        self.explorer = explorer
        self.picture = ExplorerPicture() if picture is None else picture
        self.legs: tuple[Position, ...] = ()
        self.view: ExplorerView | None = None
        words = {"description_width": "3em"}
        self.spot, self.vol = (
            widgets.FloatSlider(
                value=0.0,
                min=100.0 * low,
                max=100.0 * high,
                step=1.0,
                description=name,
                readout_format="+.0f",
                style=words,
                layout={"width": "320px"},
            )
            for name, (low, high) in (("spot %", explorer.spot_range), ("vol %", explorer.vol_range))
        )
        self.rule = widgets.Dropdown(
            options=explorer.rules, description="rule", style=words, layout={"width": "260px"}
        )
        self.contract = widgets.Combobox(
            options=explorer.tradable,
            placeholder="type a contract",
            description="leg",
            style=words,
            layout={"width": "320px"},
        )
        self.qty = widgets.FloatText(value=1.0, description="qty", style=words, layout={"width": "150px"})
        self.add = widgets.Button(description="add leg", layout={"width": "90px"})
        self.clear = widgets.Button(description="no legs", layout={"width": "90px"})
        self.image = widgets.Image(format="png")
        self.numbers, self.message = widgets.HTML(), widgets.HTML()
        self.box = widgets.VBox(
            [
                widgets.HBox([self.spot, self.vol, self.rule]),
                widgets.HBox([self.contract, self.qty, self.add, self.clear]),
                self.message,
                self.image,
                self.numbers,
            ]
        )
        for control in (self.spot, self.vol, self.rule):
            control.observe(self._refresh, names="value")
        self.add.on_click(self._add_leg)
        self.clear.on_click(self._drop_legs)
        self._refresh()

    def _repr_mimebundle_(self, **settings: Any) -> Any:
        return self.box._repr_mimebundle_(**settings)

    def _add_leg(self, _: Any = None) -> None:
        """Add what the form says to the legs."""
        try:
            new = self.explorer.leg(self.contract.value.strip(), float(self.qty.value))
        except PmkitError as refusal:
            self.message.value = _refused(refusal)
            return
        held = {leg.instrument.name: leg for leg in self.legs}
        total = new.qty + (held[new.instrument.name].qty if new.instrument.name in held else 0.0)
        held[new.instrument.name] = Position(instrument=new.instrument, qty=total)
        self._try_legs(tuple(leg for leg in held.values() if leg.qty != 0.0))

    def _drop_legs(self, _: Any = None) -> None:
        self._try_legs(())

    def _try_legs(self, legs: tuple[Position, ...]) -> None:
        """Take other legs; keep those there were where the rule refuses them."""
        before, self.legs = self.legs, legs
        self._refresh()
        if self.view is None and before != legs:
            said = self.message.value
            self.legs = before
            self._refresh()
            self.message.value = said

    def _refresh(self, _: Any = None) -> None:
        """Compute where the sliders are, and show it."""
        try:
            with warnings.catch_warnings():
                # what the rule warns about stands in its result, and is printed with the numbers
                warnings.simplefilter("ignore", PmkitWarning)
                self.view = self.explorer.at(
                    self.rule.value,
                    spot=self.spot.value / 100.0,
                    vol=self.vol.value / 100.0,
                    legs=self.legs,
                )
        except PmkitError as refusal:
            self.view = None
            self.message.value = _refused(refusal)
            return
        self.image.value = self.picture.png(self.view)
        self.numbers.value = _numbers(self.view)
        self.message.value = ""


def _refused(refusal: PmkitError) -> str:
    return f'<span role="alert" style="color: #D55E00">{html.escape(str(refusal))}</span>'


def _numbers(view: ExplorerView) -> str:
    """Return the numbers of a view as HTML: what a reader of the picture, or one without it, needs."""
    after, before = view.after, view.before
    rows: list[tuple[str, ...]] = [
        (name, amount(getattr(before, key), before.numeraire), amount(getattr(after, key), after.numeraire))
        for name, key in (
            ("equity", "equity"),
            ("initial margin (against equity)", "im_equity"),
            ("maintenance margin (against equity)", "mm_equity"),
            ("excess", "excess"),
        )
    ]
    rows += [
        ("margin ratio", percent(before.margin_ratio), percent(after.margin_ratio)),
        ("status", before.status, after.status),
        ("worst scenario", before.worst_scenario.name, after.worst_scenario.name),
        ("P&L in it", *(amount(r.worst_scenario.pnl, r.numeraire) for r in (before, after))),
        ("P&L of the move", "–", amount(view.pnl, "USD")),
    ]
    body = "".join(
        f"<tr><th style='text-align: left'>{html.escape(name)}</th>"
        + "".join(
            f"<td style='text-align: right; padding-left: 2em'>{html.escape(cell)}</td>" for cell in cells
        )
        + "</tr>"
        for name, *cells in rows
    )
    legs = ", ".join(f"{leg.qty:+g} {leg.instrument.name}" for leg in view.legs) or "none"
    notes = "".join(f"<li>{html.escape(text)}</li>" for text in after.warnings)
    return (
        f"<table class='explorer-numbers'><thead><tr><th>{html.escape(rule_title(after))}</th>"
        "<th style='text-align: right'>today</th><th style='text-align: right'>here</th></tr></thead>"
        f"<tbody>{body}</tbody></table><p>Legs: {html.escape(legs)}</p>"
        + (f"<ul>{notes}</ul>" if notes else "")
    )
