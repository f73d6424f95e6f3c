"""The pictures: axes with units, curves that are the numbers, and refusals by name."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import pmkit as pm
from pmkit.core.errors import DataGapError, ParameterError
from pmkit.margin import Account, Comparison
from pmkit.market import MarketSnapshot


def words(ax: Axes) -> list[str]:
    """Return the texts of the legend."""
    legend = ax.get_legend()
    return [] if legend is None else [t.get_text() for t in legend.get_texts()]


def curve(ax: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of the curve of that name."""
    (line,) = [x for x in ax.get_lines() if x.get_label() == label]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


# -- profile ------------------------------------------------------------------------------------------------


def test_profile_has_units_and_marks(straddle: Account, market: MarketSnapshot) -> None:
    ax = pm.report.pnl_profile(straddle, market, points=9)
    assert ax.get_xlabel() == "price of BTC, USD"
    assert ax.get_ylabel() == "P&L of the account, USD"
    assert "straddle" in ax.get_title(loc="left")
    assert words(ax) == ["spot 62,688 USD", "now, positions alone", "now", "in 2 days", "strikes held"]
    assert list(curve(ax, "strikes held")[0]) == [62_000.0]


def test_profile_is_the_revaluation(straddle: Account, market: MarketSnapshot) -> None:
    ax = pm.report.pnl_profile(straddle, market, points=5, width=0.2)
    prices, values = curve(ax, "now")
    moves = [-0.2, -0.1, 0.0, 0.1, 0.2]
    grid = pm.scenarios.grid(moves, dynamics="sticky_moneyness", underlyings=["BTC"])
    cube = pm.risk.revalue(straddle.portfolio, market, grid)
    expected = cube.account_pnl(straddle.portfolio, balances=straddle.balances(market))
    assert prices == pytest.approx(market.spot("BTC") * (1.0 + np.array(moves)))
    assert values == pytest.approx(expected, rel=1e-12)
    assert values[2] == pytest.approx(0.0, abs=1e-6)


def test_lines_that_settle_on_the_way_pay_at_the_moved_price(market: MarketSnapshot) -> None:
    rows = [
        {"type": "position", "instrument": "BTC-2AUG26-62000-P", "qty": 1, "as_of": "2026-08-01T17:58:04Z"}
    ]
    book = pm.Portfolio.from_records(rows)
    ax = pm.report.pnl_profile(book, market, points=3, width=0.2)
    prices, later = curve(ax, "in 2 days")
    _, now = curve(ax, "now")
    paid = np.maximum(62_000.0 - prices, 0.0)
    value_now = market.mark(book.instruments[0]).price * market.spot("BTC")
    assert later == pytest.approx(paid - value_now, abs=1e-6)
    assert abs(now[1]) < 1e-6 < abs(later[1])


def test_profile_of_one_coin_leaves_the_other_alone(
    two_coins: tuple[Account, MarketSnapshot, Comparison],
) -> None:
    account, market, _ = two_coins
    ax = pm.report.pnl_profile(account, market, underlying="ETH", points=5)
    prices, values = curve(ax, "now")
    assert prices[2] == pytest.approx(market.spot("ETH"))
    assert values[2] == pytest.approx(0.0, abs=1e-5)
    assert len(set(np.round(values, 2))) == 5


def test_portfolio_without_collateral_has_one_curve_less(straddle: Account, market: MarketSnapshot) -> None:
    ax = pm.report.pnl_profile(straddle.portfolio, market, points=3)
    assert "now, positions alone" not in words(ax)


def test_profile_without_a_surface_holds_the_vol_of_each_strike() -> None:
    expiry = "2026-09-25T08:00:00Z"
    snap = pm.MarketSnapshot.from_marks(
        "2026-08-01T00:00:00Z", {"BTC": 60_000.0}, forwards={"BTC": {expiry: 60_500.0}},
        option_iv={"BTC-25SEP26-62000-C": 0.5},
    )  # fmt: skip
    rows = [
        {"type": "position", "instrument": "BTC-25SEP26-62000-C", "qty": 1, "as_of": "2026-08-01T00:00:00Z"}
    ]
    ax = pm.report.pnl_profile(pm.Portfolio.from_records(rows), snap, points=3)
    assert np.isfinite(curve(ax, "now")[1]).all()


def test_profile_of_a_coin_that_is_not_held(straddle: Account, market: MarketSnapshot) -> None:
    with pytest.raises(
        DataGapError, match=r"'straddle' holds no position in ETH; expected a position in BTC"
    ):
        pm.report.pnl_profile(straddle, market, underlying="ETH")


@pytest.mark.parametrize("wrong", [{"width": 1.0}, {"width": 0.0}, {"points": 2}, {"horizon_days": 0.0}])
def test_profile_refuses_arguments_out_of_range(
    straddle: Account, market: MarketSnapshot, wrong: dict[str, float]
) -> None:
    with pytest.raises(
        ParameterError, match="a width between 0 and 1, at least 3 points, a positive horizon"
    ):
        pm.report.pnl_profile(straddle, market, **wrong)


# -- risk matrix --------------------------------------------------------------------------------------------


def test_heatmap_shows_every_cell_of_the_rule(compared: Comparison) -> None:
    result = compared["deribit-pm"]
    ax = pm.report.scenario_heatmap(result)
    assert ax.get_xlabel() == "move of the price, %"
    assert [t.get_text() for t in ax.get_yticklabels()] == ["vol up", "vol same", "vol down"]
    assert [t.get_text() for t in ax.get_xticklabels()][:4] == ["−66", "−33", "−16", "−12"]
    assert len(ax.texts) == 27 + 8
    image = np.ma.filled(ax.get_images()[0].get_array().astype(float), np.nan)
    assert np.nanmin(image) == pytest.approx(result.worst_scenario.pnl)
    assert ax.figure.axes[-1].get_ylabel() == "P&L, BTC"


def test_heatmap_frames_the_worst_cell(compared: Comparison) -> None:
    ax = pm.report.scenario_heatmap(compared["deribit-pm"])
    image = np.ma.filled(ax.get_images()[0].get_array().astype(float), np.nan)
    row, column = np.unravel_index(int(np.nanargmin(image)), image.shape)
    (frame,) = ax.patches
    assert (frame.get_x(), frame.get_y()) == (column - 0.5, row - 0.5)


def test_heatmap_of_one_part(two_coins: tuple[Account, MarketSnapshot, Comparison]) -> None:
    result = two_coins[2]["deribit-pm"]
    assert pm.report.scenario_heatmap(result, part="ETH").figure.axes[-1].get_ylabel() == "P&L, ETH"
    assert pm.report.scenario_heatmap(result).figure.axes[-1].get_ylabel() == "P&L, BTC"


def test_heatmap_refuses_rules_without_a_matrix(compared: Comparison) -> None:
    with pytest.raises(DataGapError, match="result of es-fhs for account 'straddle' has no risk matrix"):
        pm.report.scenario_heatmap(compared["es-fhs"])


def test_heatmap_refuses_unknown_parts(
    compared: Comparison, two_coins: tuple[Account, MarketSnapshot, Comparison]
) -> None:
    with pytest.raises(
        DataGapError, match=r"no part 'SOL' in the result of deribit-pm spm; expected one of BTC, ETH"
    ):
        pm.report.scenario_heatmap(two_coins[2]["deribit-pm"], part="SOL")
    with pytest.raises(DataGapError, match="no part: it has one currency"):
        pm.report.scenario_heatmap(compared["deribit-pm"], part="BTC")


# -- loss distribution --------------------------------------------------------------------------------------


def test_distribution_draws_measures_and_rules_where_they_are(
    compared: Comparison, market: MarketSnapshot
) -> None:
    pnl = compared.common_pnl
    var, es = (float(f(pnl, 0.99)) for f in (pm.risk.value_at_risk, pm.risk.expected_shortfall))
    ax = pm.report.loss_distribution(
        pnl, var=var, es=es, level=0.99, results=compared.results, snapshot=market
    )
    assert "USD" in ax.get_xlabel()
    assert "share of scenarios" in ax.get_ylabel()
    assert ax.get_yscale() == "log"
    assert words(ax)[0] == f"VaR 99 %: {var:,.0f} USD"
    assert len(words(ax)) == 6
    at = [float(np.asarray(line.get_xdata())[0]) for line in ax.get_lines()]
    assert min(abs(x + compared["es-fhs"].im_equity) for x in at) < 1e-6
    assert min(abs(x + var) for x in at) < 1e-9


def test_bars_of_the_distribution_add_up_to_one(compared: Comparison) -> None:
    ax = pm.report.loss_distribution(compared.common_pnl)
    assert sum(patch.get_height() for patch in ax.patches) == pytest.approx(1.0)
    assert words(ax) == []


def test_requirement_beyond_the_picture_is_marked(compared: Comparison, market: MarketSnapshot) -> None:
    standard = compared["deribit-standard"]
    ax = pm.report.loss_distribution([-10.0, 0.0, 5.0], results=[standard], snapshot=market)
    assert words(ax)[0].startswith("← deribit-standard: ")
    assert ax.get_xlim()[0] > -100.0


def test_distribution_with_weights() -> None:
    ax = pm.report.loss_distribution([-100.0, 0.0], weights=[0.25, 0.75])
    heights = sorted(p.get_height() for p in ax.patches if p.get_height() > 0.0)
    assert heights == [0.25, 0.75]


@pytest.mark.parametrize("pnl", [[], [1.0, float("nan")]])
def test_distribution_refuses_what_it_cannot_draw(pnl: list[float]) -> None:
    with pytest.raises(ParameterError, match="at least one, all finite"):
        pm.report.loss_distribution(pnl)


# -- comparison ---------------------------------------------------------------------------------------------


def test_comparison_bars_are_the_requirements(compared: Comparison, market: MarketSnapshot) -> None:
    ax = pm.report.margin_comparison(compared.results, market)
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == pytest.approx([compared.usd(r, r.im_equity) for r in compared.results])
    assert [t.get_text() for t in ax.get_xticklabels()] == [
        "es-fhs",
        "var-hs",
        "deribit-pm spm",
        "deribit-standard",
    ]
    assert ax.get_ylabel() == "USD"
    assert ax.get_xlabel() == "rule"
    assert len({bar.get_hatch() for bar in ax.patches}) == 4


def test_coin_requirements_need_a_price(compared: Comparison) -> None:
    with pytest.raises(DataGapError, match="deribit-pm spm is in BTC and there is no snapshot"):
        pm.report.margin_comparison([compared["deribit-pm"]])


def test_no_results_no_picture() -> None:
    with pytest.raises(DataGapError, match="there is no result to draw"):
        pm.report.margin_comparison([])


def test_pictures_go_where_the_caller_wants(compared: Comparison, market: MarketSnapshot) -> None:
    ax = Figure().subplots()
    assert pm.report.margin_comparison(compared.results, market, ax=ax) is ax
