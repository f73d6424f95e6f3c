"""The what-if explorer: moves, legs, the picture that follows, and the panel of sliders."""

from __future__ import annotations

import hashlib
import importlib
import io
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import pmkit as pm
from pmkit.core.errors import (
    DataGapError,
    OptionalDependencyError,
    ParameterError,
    PmkitError,
    PmkitWarning,
    SchemaError,
)
from pmkit.instruments import Position
from pmkit.liquidation import moved_snapshot
from pmkit.liquidation.path import entered_at
from pmkit.margin import Account
from pmkit.market import MarketSnapshot
from pmkit.report import ExplorerPanel, ExplorerPicture, MarginExplorer
from pmkit.report.explorer import view as view_module

CALL, PUT = "BTC-25SEP26-62000-C", "BTC-25SEP26-62000-P"


@pytest.fixture(autouse=True)
def _no_warnings_of_the_rules() -> Iterator[None]:
    """The account is some seconds old and its parameters are of another day: said by the rules' own tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        yield


@pytest.fixture(scope="module")
def explorer(market: MarketSnapshot, straddle: Account) -> MarginExplorer:
    return MarginExplorer(straddle, market, stale="warn")


@pytest.fixture(scope="module")
def linear() -> tuple[Account, MarketSnapshot]:
    """A short perpetual of 6,000 USD without a surface or a chain."""
    market = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 60_000.0})
    rows = [
        {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -600, "as_of": "2026-08-01"},
        {"type": "collateral", "instrument": "BTC", "qty": 0.1, "as_of": "2026-08-01"},
    ]
    return Account.from_records(rows), market


# -- numbers ------------------------------------------------------------------------------------------------


def test_nothing_moves_nothing(explorer: MarginExplorer) -> None:
    seen = explorer.at("deribit-pm")
    assert seen.pnl == 0.0
    assert seen.after.im == seen.before.im
    assert seen.summary()["change"].abs().max() == 0.0


@pytest.mark.parametrize("rule", ["deribit-pm", "deribit-standard", "okx-pm"])
def test_requirement_is_the_rules_own_in_the_moved_market(
    explorer: MarginExplorer, market: MarketSnapshot, straddle: Account, rule: str
) -> None:
    moved = moved_snapshot(market, dynamics="sticky_moneyness", spot=-0.15, vol=0.4)
    asked = pm.margin.rule(rule, stale="warn").requirement(entered_at(straddle, market), moved)
    seen = explorer.at(rule, spot=-0.15, vol=0.4)
    for name in ("im", "mm", "equity"):
        assert getattr(seen.after, name) == pytest.approx(getattr(asked, name), rel=1e-12)
    assert seen.after.worst_scenario.name == asked.worst_scenario.name


@pytest.mark.parametrize(("spot", "vol"), [(-0.5, 1.0), (-0.2, -0.5), (0.0, 0.7), (0.35, 0.0), (0.5, 1.0)])
@pytest.mark.parametrize("legs", [(), ((CALL, 5.0),), ((CALL, 10.0), ("BTC-PERPETUAL", -900.0))])
def test_change_of_equity_is_the_profit_of_a_revaluation(
    explorer: MarginExplorer, spot: float, vol: float, legs: tuple[tuple[str, float], ...]
) -> None:
    explorer.at(spot=spot, vol=vol, legs=[explorer.leg(*leg) for leg in legs]).check()


def test_surface_holds_the_same_profit_at_its_corners(explorer: MarginExplorer) -> None:
    legs = [explorer.leg(CALL, 3.0)]
    for spot in (-0.5, 0.5):
        for vol in (-0.5, 1.0):
            seen = explorer.at(spot=spot, vol=vol, legs=legs)
            row, column = (seen.surface.index == vol).argmax(), (seen.surface.columns == spot).argmax()
            assert seen.surface.index[row] == vol and seen.surface.columns[column] == spot
            assert seen.pnl == pytest.approx(float(seen.surface.iloc[row, column]), rel=1e-9)


def test_future_without_entry_earns_what_the_market_moves(linear: tuple[Account, MarketSnapshot]) -> None:
    seen = MarginExplorer(*linear, rules=["deribit-pm"], stale="warn").at(spot=0.1)
    # 6,000 USD short in coin: loses 6000 (1/60000 - 1/66000) BTC; the collateral of 0.1 BTC gains 600 USD
    lost = 6_000.0 * (1.0 / 60_000.0 - 1.0 / 66_000.0)
    assert seen.after.equity == pytest.approx(0.1 - lost, abs=1e-12)
    assert seen.pnl == pytest.approx(600.0 - lost * 66_000.0, abs=1e-8)


def test_leg_at_the_mark_leaves_equity_and_changes_margin(explorer: MarginExplorer) -> None:
    seen = explorer.at("deribit-pm", legs=[explorer.leg(CALL, 10.0), explorer.leg(PUT, 10.0)])
    assert seen.after.equity == pytest.approx(seen.before.equity, rel=1e-12)
    assert seen.pnl == 0.0
    assert seen.after.im < 0.5 * seen.before.im  # closes the straddle
    assert not {CALL, PUT} & {i.name for i in seen.account.instruments}


def test_result_tells_its_place(explorer: MarginExplorer) -> None:
    seen = explorer.at("okx-pm", spot=-0.1, vol=0.2, legs=[explorer.leg(CALL, 2.0)])
    record = seen.to_dict()
    assert (record["rule"], record["spot"], record["vol"]) == ("okx-pm", -0.1, 0.2)
    assert record["legs"] == {CALL: 2.0}
    assert record["after"]["im"] == seen.after.im
    assert list(seen.to_frame().columns) == ["vol", "spot", "pnl"]
    assert len(seen.to_frame()) == seen.surface.size
    assert seen.cite() == seen.after.cite() != ()


def test_check_finds_a_wrong_profit(explorer: MarginExplorer) -> None:
    seen = explorer.at(spot=-0.1)
    with pytest.raises(PmkitError, match="equity changes by"):
        replace(seen, pnl=seen.pnl + 1.0).check()


def test_legs_that_come_back_give_the_same_numbers(explorer: MarginExplorer) -> None:
    legs = [explorer.leg(CALL, 4.0)]
    first = explorer.at(spot=0.1, legs=legs)
    explorer.at(spot=0.1)
    again = explorer.at(spot=0.1, legs=legs)
    assert first.after.im == again.after.im
    assert first.surface.equals(again.surface)


# -- refusals -----------------------------------------------------------------------------------------------


def test_unknown_contract_is_refused(explorer: MarginExplorer) -> None:
    with pytest.raises(SchemaError, match="unknown contract 'BTC-25SEP26-62001-C'"):
        explorer.leg("BTC-25SEP26-62001-C", 1.0)


@pytest.mark.parametrize("qty", [0.0, float("nan"), float("inf")])
def test_leg_of_nothing_is_refused(explorer: MarginExplorer, qty: float) -> None:
    with pytest.raises(ParameterError, match="contracts of BTC-PERPETUAL; expected a number other than 0"):
        explorer.leg("BTC-PERPETUAL", qty)


def test_unknown_rule_is_refused(explorer: MarginExplorer) -> None:
    with pytest.raises(DataGapError, match="no rule 'span' in the explorer"):
        explorer.at("span")


@pytest.mark.parametrize("move", [-0.51, 0.51, float("nan")])
def test_move_out_of_range_is_refused(explorer: MarginExplorer, move: float) -> None:
    with pytest.raises(ParameterError, match=r"spot moves by .*a decimal from -0.5 to 0.5"):
        explorer.at(spot=move)


@pytest.mark.parametrize("given", [(-0.95, 0.5), (0.0, 0.5), (-0.5, 0.0), (-0.5, 50.0), (float("nan"), 1.0)])
def test_range_is_checked(linear: tuple[Account, MarketSnapshot], given: tuple[float, float]) -> None:
    with pytest.raises(ParameterError, match="vol_range is"):
        MarginExplorer(*linear, vol_range=given)


def test_rules_are_checked(linear: tuple[Account, MarketSnapshot]) -> None:
    with pytest.raises(ParameterError, match="rules are"):
        MarginExplorer(*linear, rules=[])
    with pytest.raises(ParameterError, match="at least one, each once"):
        MarginExplorer(*linear, rules=["deribit-pm", "deribit-pm"], stale="warn")
    two = [pm.margin.rule("deribit-pm", variant=v, stale="warn") for v in ("spm", "classic")]
    assert MarginExplorer(*linear, rules=two).rules == ("deribit-pm spm", "deribit-pm classic")


def test_points_are_checked(linear: tuple[Account, MarketSnapshot]) -> None:
    with pytest.raises(ParameterError, match="at least 3 moves each way"):
        MarginExplorer(*linear, points=(2, 9))


def test_tradable_without_a_chain(linear: tuple[Account, MarketSnapshot]) -> None:
    explorer = MarginExplorer(*linear, rules=["deribit-pm"], stale="warn")
    assert explorer.tradable == ("BTC-PERPETUAL",)
    assert explorer.dynamics == "sticky_strike"


# -- picture ------------------------------------------------------------------------------------------------


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_picture_follows_a_move_and_repaints_only_what_changes(explorer: MarginExplorer) -> None:
    picture = ExplorerPicture()
    here, there = (pixels(picture.png(explorer.at(spot=spot))) for spot in (0.0, -0.3))
    assert here.shape == (420, 1040, 3)
    changed = np.abs(here - there).sum(axis=2) > 0
    assert changed[:, 700:].any()  # margin and scenarios
    surface = changed[:, :480]
    assert 0 < surface.sum() < 600  # the mark at its two places, nothing else


def test_picture_has_no_memory(explorer: MarginExplorer) -> None:
    """A picture that was used for other places, legs and rules gives the same bytes as a fresh one."""
    used = ExplorerPicture()
    legs = [explorer.leg(CALL, 25.0)]
    for rule, spot in (("okx-pm", 0.5), ("deribit-standard", -0.5)):
        used.png(explorer.at(rule, spot=spot))
    last = explorer.at("deribit-pm", spot=-0.2, vol=0.3, legs=legs)
    assert used.png(last) == ExplorerPicture().png(last)


def test_picture_of_a_rule_without_scenarios_and_of_an_insolvent_account(
    linear: tuple[Account, MarketSnapshot],
) -> None:
    account, market = linear
    poor = pm.Account(portfolio=account.portfolio, collateral={"BTC": 0.001}, name="poor")
    explorer = MarginExplorer(poor, market, rules=["deribit-standard", "deribit-pm"], stale="warn")
    seen = explorer.at("deribit-standard", spot=0.3)
    assert seen.after.status == "insolvent"
    picture = ExplorerPicture()
    bare = pixels(picture.png(seen))
    assert bare.shape == (420, 1040, 3)
    assert (bare != pixels(picture.png(explorer.at("deribit-pm", spot=0.3)))).any()


def test_plot_marks_the_place(explorer: MarginExplorer) -> None:
    axes = explorer.at(spot=-0.25, vol=0.5).plot()
    (mark,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (-25.0, 50.0)
    assert axes.get_xlabel() == "move of the price, %"
    image = axes.images[0]
    assert image.get_clim()[0] == -image.get_clim()[1]
    # cells are centred on their moves: the first centre is the first move
    left, right, low, high = image.get_extent()
    rows, columns = image.get_array().shape
    assert left + 0.5 * (right - left) / columns == pytest.approx(-50.0)
    assert low + 0.5 * (high - low) / rows == pytest.approx(-50.0)
    assert view_module.HERE["marker"] == "o"


def test_slider_to_picture_takes_less_than_150_ms_for_60_lines(market: MarketSnapshot) -> None:
    account = Account.from_csv(pm.datasets.path("account-market-maker"))
    explorer, picture = MarginExplorer(account, market, stale="warn"), ExplorerPicture()
    assert len(account.portfolio) >= 60
    picture.png(explorer.at())
    taken = []
    for step in range(1, 13):
        begin = time.process_time()
        picture.png(explorer.at(spot=-0.02 * step, vol=0.03 * step))
        taken.append(time.process_time() - begin)
    # processor time, and the better half of it: other work on the machine is not what is measured
    assert sorted(taken)[len(taken) // 2] < 0.150


# -- panel --------------------------------------------------------------------------------------------------


@pytest.fixture
def panel(explorer: MarginExplorer) -> ExplorerPanel:
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")
    return ExplorerPanel(explorer)


def digest(panel: ExplorerPanel) -> str:
    return hashlib.sha256(bytes(panel.image.value)).hexdigest()


def test_sliders_move_picture_and_numbers(panel: ExplorerPanel) -> None:
    pictures, numbers = [digest(panel)], [panel.numbers.value]
    for slider, value in ((panel.spot, -12.0), (panel.vol, 30.0)):
        slider.value = value
        pictures.append(digest(panel))
        numbers.append(panel.numbers.value)
    assert len(set(pictures)) == 3
    assert len(set(numbers)) == 3
    assert panel.view is not None
    assert (panel.view.spot, panel.view.vol) == (-0.12, 0.3)
    assert f"{panel.view.after.im_equity:,.4f} BTC" in panel.numbers.value


def test_rule_is_chosen(panel: ExplorerPanel) -> None:
    panel.rule.value = "okx-pm"
    assert panel.view is not None and panel.view.rule == "okx-pm"
    assert "okx-pm" in panel.numbers.value


def test_legs_come_add_up_and_go(panel: ExplorerPanel) -> None:
    panel.contract.value, panel.qty.value = CALL, 3.0
    panel.add.click()
    panel.add.click()
    assert [(leg.instrument.name, leg.qty) for leg in panel.legs] == [(CALL, 6.0)]
    assert f"+6 {CALL}" in panel.numbers.value
    panel.qty.value = -6.0
    panel.add.click()
    assert panel.legs == ()
    panel.qty.value = 1.0
    panel.add.click()
    panel.clear.click()
    assert panel.legs == ()
    assert "Legs: none" in panel.numbers.value


def test_wrong_leg_is_said_and_changes_nothing(panel: ExplorerPanel) -> None:
    before = digest(panel)
    panel.contract.value = "<b>BTC</b>"
    panel.add.click()
    assert "unknown contract &#x27;&lt;b&gt;BTC&lt;/b&gt;&#x27;" in panel.message.value
    assert digest(panel) == before
    panel.contract.value = CALL
    panel.add.click()
    assert panel.message.value == ""


def test_leg_that_the_rule_refuses_is_given_back(
    panel: ExplorerPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = panel.explorer.at

    def refuse(rule: str, **place: object) -> object:
        if place["legs"]:
            raise SchemaError("a contract", "another", "take it")
        return at(rule, **place)

    monkeypatch.setattr(panel.explorer, "at", refuse)
    panel.contract.value = CALL
    panel.add.click()
    assert panel.legs == ()
    assert panel.view is not None
    assert "remedy: take it" in panel.message.value


def test_panel_shows_itself(panel: ExplorerPanel) -> None:
    assert "application/vnd.jupyter.widget-view+json" in panel._repr_mimebundle_()


def test_without_ipywidgets_the_remedy_is_named(
    explorer: MarginExplorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def absent(name: str, package: str | None = None) -> object:
        if name == "ipywidgets":
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(OptionalDependencyError, match=r"pmkit\[app\]"):
        ExplorerPanel(explorer)


def test_leg_is_a_position(explorer: MarginExplorer) -> None:
    leg = explorer.leg("BTC-PERPETUAL", -100.0)
    assert isinstance(leg, Position)
    assert leg.entry_price is None
