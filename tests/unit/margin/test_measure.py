"""Rules from a risk measure: numeraire, collateral, own scenarios, errors, every parameter used."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pmkit.core.errors import HistoryEndsWarning, ParameterError, ThinTailError, ThinTailWarning
from pmkit.margin import Account, MarginResult, rule
from pmkit.margin.rules.measure import EsFhs
from pmkit.margin.schemas import ExpectedShortfallParameters, HistoricalVarParameters
from pmkit.market import MarketSnapshot, PriceHistory, load_history, load_snapshot
from pmkit.scenarios import ScenarioSet, grid

Make = Callable[..., Account]
FAST = {"n_paths": 4_000, "vol_anchor": 0.5}
CHAIN = "2026-08-01T17:58:00Z"


@pytest.fixture(scope="module")
def even(market: MarketSnapshot) -> MarketSnapshot:
    """Return a market whose perpetual trades at the index."""
    forwards = {
        u: {e.isoformat(): q.price for e, q in m.forwards.items()} for u, m in market.underlyings.items()
    }
    return MarketSnapshot.from_marks(market.as_of, {"BTC": 60_000.0, "ETH": 3_000.0}, forwards=forwards)


@pytest.fixture(scope="module")
def chain() -> MarketSnapshot:
    return load_snapshot("deribit-btc-2026-08-01")


@pytest.fixture
def quietly() -> Iterator[None]:
    """Let the two warnings pass that every run on the shipped history gives; they have their own test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HistoryEndsWarning)
        warnings.simplefilter("ignore", ThinTailWarning)
        yield


def four(*moves: float) -> ScenarioSet:
    return grid(list(moves), dynamics="sticky_strike", underlyings=["BTC", "ETH"])


@pytest.mark.usefixtures("quietly")
@pytest.mark.parametrize("name", ["es-fhs", "var-hs"])
def test_a_synthetic_dollar_needs_nothing(name: str, even: MarketSnapshot, make_account: Make) -> None:
    options: dict[str, Any] = FAST if name == "es-fhs" else {"replications": 2}
    result = rule(name, **options).requirement(make_account({"BTC-PERPETUAL": -6000}, {"BTC": 1.0}), even)
    assert result.im == pytest.approx(0.0, abs=1e-9)
    assert result.numeraire == "USD" and result.collateral_treatment == "revalued" and not result.not_eligible
    assert result.equity == pytest.approx(60_000.0)


@pytest.mark.usefixtures("quietly")
def test_a_long_dated_future_against_the_perpetual_needs_something(
    even: MarketSnapshot, make_account: Make
) -> None:
    spread = make_account({"BTC-27DEC24": 6000, "BTC-PERPETUAL": -6000})
    result = rule("es-fhs", **FAST).requirement(spread, even)
    assert 50.0 < result.im < 6_000.0


@pytest.mark.parametrize("name", ["es-fhs", "var-hs"])
def test_figures_over_scenarios_of_the_callers_own(
    name: str, even: MarketSnapshot, make_account: Make
) -> None:
    account = make_account({"BTC-PERPETUAL": 6000}, {"USDC": 50_000.0})
    result = rule(name).requirement(account, even, scenarios=four(-0.4, -0.3, -0.2, 0.1))
    assert result.im == pytest.approx(24_000.0, rel=1e-12)
    assert result.worst_scenario.pnl == pytest.approx(-24_000.0)
    assert result.worst_scenario.name.startswith("spot -40%")
    assert result.equity == 50_000.0 and result.margin_ratio == pytest.approx(0.48)
    gain = rule(name).requirement(account, even, scenarios=four(0.1, 0.2))
    assert (gain.im, gain.mm, gain.status) == (0.0, 0.0, "ok")


def test_collateral_moves_with_the_scenarios_and_is_not_cut_as_well(
    even: MarketSnapshot, make_account: Make
) -> None:
    coin = rule("es-fhs").requirement(make_account({}, {"BTC": 2.0}), even, scenarios=four(-0.5, 0.5))
    assert coin.im == pytest.approx(60_000.0) and coin.equity == 120_000.0
    cash = rule("es-fhs").requirement(make_account({}, {"USDC": 1_000.0}), even, scenarios=four(-0.5, 0.5))
    assert (cash.im, cash.equity) == (0.0, 1_000.0)


def test_unrealised_profit_is_a_balance_in_coin(even: MarketSnapshot, make_account: Make) -> None:
    account = Account.from_records(
        [
            {
                "type": "position",
                "instrument": "BTC-PERPETUAL",
                "qty": 5000,
                "entry_price": 50_000,
                "as_of": even.as_of,
            }
        ]
    )
    result = rule("es-fhs").requirement(account, even, scenarios=four(-0.5, 0.5))
    profit = 50_000 * (1 / 50_000 - 1 / 60_000)
    assert result.equity == pytest.approx(profit * 60_000.0)
    assert result.im == pytest.approx(0.5 * (50_000.0 + profit * 60_000.0))


@pytest.mark.usefixtures("quietly")
def test_doubling_doubles_and_errors_are_there(even: MarketSnapshot, make_account: Make) -> None:
    measured = rule("es-fhs", **FAST)
    one = measured.requirement(make_account({"BTC-PERPETUAL": 6000, "ETH-PERPETUAL": -90_000}), even)
    two = measured.requirement(make_account({"BTC-PERPETUAL": 12_000, "ETH-PERPETUAL": -180_000}), even)
    assert (two.im, two.mm) == pytest.approx((2.0 * one.im, 2.0 * one.mm), rel=1e-12)
    figure = one.figures["im"]
    assert 0.0 < figure.se_simulation < 0.2 * one.im
    assert figure.influential_date in {
        f"{d:%Y-%m-%d}" for d in load_history("crypto-daily-2020-2023").prices.index
    }
    assert figure.value_without_date != figure.value
    assert set(one.figures["vol_anchor"].index) == {"BTC", "ETH"}
    assert one.figures["vol_anchor"].loc["BTC", "anchor"] == 0.5
    one.check()


def test_warnings_are_given_and_kept(even: MarketSnapshot, make_account: Make) -> None:
    measured = rule("es-fhs", **FAST)
    ends = r"history ends 2023-12-31, 161 days before the snapshot of 2024-06-10"
    thin = r"7\.3 independent observations beyond the 0\.99 level"
    results = []
    for qty in (600, 900):  # the second time the scenarios come from memory
        with pytest.warns(HistoryEndsWarning, match=ends), pytest.warns(ThinTailWarning, match=thin):
            results.append(measured.requirement(make_account({"BTC-PERPETUAL": qty}), even))
    assert len(results[0].warnings) == 2 and results[0].warnings == results[1].warnings
    assert any("the filter reached 46.2%" in note for note in results[0].notes)


@pytest.mark.usefixtures("quietly")
def test_prices_after_the_snapshot_are_not_looked_at(make_account: Make) -> None:
    whole = load_history("crypto-daily-2020-2023")
    as_of = "2022-11-01T08:00:00Z"
    snapshot = MarketSnapshot.from_marks(as_of, {"BTC": 20_000.0})
    account = make_account({"BTC-PERPETUAL": 1000}, as_of=as_of)
    prices = whole.prices.copy()
    prices.loc["2022-11-01":] *= 3.0
    changed = PriceHistory.from_frame(prices)
    for name, options in (("es-fhs", FAST), ("var-hs", {"replications": 2})):
        first, second = (
            rule(name, **options).requirement(account, snapshot, history=h) for h in (whole, changed)
        )
        assert (first.im, first.mm) == (second.im, second.mm)


@pytest.mark.usefixtures("quietly")
def test_scenarios_and_cube_serve_several_accounts(even: MarketSnapshot, make_account: Make) -> None:
    measured = rule("es-fhs", **FAST)
    assert isinstance(measured, EsFhs)
    big, small = make_account({"BTC-PERPETUAL": 600, "BTC-27DEC24": 600}), make_account({"BTC-27DEC24": 600})
    scenarios = measured.scenarios(big, even)
    assert measured.scenarios(small, even) is scenarios
    assert measured.cube(small, even, scenarios) is not None
    cube = measured.cube(big, even, scenarios)
    assert measured.cube(small, even, scenarios) is cube
    fresh = rule("es-fhs", **FAST).requirement(small, even)
    assert measured.requirement(small, even).im == fresh.im
    lines = measured.line_im_equity(big, even)
    assert lines[1] == fresh.im


@pytest.mark.usefixtures("quietly")
def test_contracts_that_settle_inside_the_horizon_are_counted(
    chain: MarketSnapshot, make_account: Make
) -> None:
    held = {"BTC-2AUG26-62000-P": -5, "BTC-3AUG26-63000-C": -5, "BTC-28AUG26-70000-C": -5}
    result = rule("es-fhs", n_paths=2_000).requirement(make_account(held, {"BTC": 2.0}, as_of=CHAIN), chain)
    assert result.figures["settled"] == ("BTC-2AUG26-62000-P", "BTC-3AUG26-63000-C")
    steps = result.explain().set_index("what")
    assert steps.loc["contracts settled inside the horizon", "value"] == 2.0
    assert steps.loc["start vol of BTC", "value"] == pytest.approx(chain.atm_iv("BTC", 30.0))


def test_too_thin_a_tail_gives_no_figure(even: MarketSnapshot, make_account: Make) -> None:
    short = load_history("crypto-daily-2020-2023").window("2023-01-01", "2023-12-31")
    with pytest.raises(ThinTailError, match=r"1\.8 independent observations beyond the 0\.99 level"):
        rule("var-hs", replications=1).requirement(make_account({"BTC-PERPETUAL": 600}), even, history=short)


def test_options_of_the_rule_are_checked() -> None:
    with pytest.raises(ParameterError, match="unknown option 'paths' of es-fhs; expected one of"):
        rule("es-fhs", paths=10)
    with pytest.raises(ParameterError, match="unknown option 'n_paths' of deribit-pm"):
        rule("deribit-pm", n_paths=10)
    snapshot = MarketSnapshot.from_marks("2024-06-10T08:00:00Z", {"BTC": 60_000.0})
    with pytest.raises(ParameterError, match=r"n_paths: found 10; expected .*greater than or equal to 1000"):
        rule("es-fhs", n_paths=10).parameter_set(snapshot)  # type: ignore[union-attr]
    with pytest.raises(ParameterError, match=r"mm_level 0\.995 is above im_level 0\.99"):
        rule("var-hs", mm_level=0.995).parameter_set(snapshot)  # type: ignore[union-attr]


# -- every parameter moves some number ------------------------------------------------------------------
SMALL: dict[str, Any] = {"n_paths": 2_000, "bootstrap_replications": 2, "bootstrap_paths": 1_000}
OTHER: dict[str, Any] = {
    "im_level": 0.985, "mm_level": 0.97, "horizon_days": 1, "n_paths": 3_000, "model": "garch",
    "dist": "normal", "vol_anchor": "atm-90d", "dynamics": "sticky_strike", "seed": 7, "min_tail": 5.0,
    "error_below": 8.0, "bootstrap_replications": 3, "bootstrap_paths": 1_500, "replications": 3,
    "bootstrap_mean_block": 5.0,
}  # fmt: skip


def _numbers(result: MarginResult) -> list[Any]:
    figures = [
        (f.value, f.se_simulation, str(f.se_estimation)) for f in (result.figures["im"], result.figures["mm"])
    ]
    return [result.im, result.mm, *figures, [w for w in result.warnings if "independent" in w]]


@pytest.mark.usefixtures("quietly")
@pytest.mark.parametrize(
    ("name", "key"),
    [("es-fhs", key) for key in ExpectedShortfallParameters.model_fields]
    + [("var-hs", key) for key in HistoricalVarParameters.model_fields],
)
def test_every_parameter_moves_some_number(
    name: str, key: str, chain: MarketSnapshot, make_account: Make, tmp_path: Path, root: Path
) -> None:
    account = make_account({"BTC-28AUG26-70000-C": -5, "BTC-25DEC26": 3000}, {"BTC": 1.0}, as_of=CHAIN)
    base: dict[str, Any] = (
        {**SMALL, "estimation_error": key.startswith("bootstrap")} if name == "es-fhs" else {}
    )
    base |= {"replications": 2} if name == "var-hs" else {}
    if key == "response":
        text = (root / "pmkit/scenarios/params/deribit-btc-eth-2026-04.toml").read_text(encoding="utf-8")
        assert "vol_slope = -1.08" in text
        (tmp_path / "other.toml").write_text(
            text.replace("vol_slope = -1.08", "vol_slope = -0.5"), encoding="utf-8"
        )
        changed = {**base, "response": str(tmp_path / "other.toml")}
    else:
        changed = {**base, key: OTHER[key]}
    usual = rule(name, **base).requirement(account, chain)
    if key == "error_below":
        with pytest.raises(ThinTailError):
            rule(name, **changed).requirement(account, chain)
        return
    other = rule(name, **changed).requirement(account, chain)
    assert other.param_set.endswith("(modified)")
    assert _numbers(usual) != _numbers(other)
    assert np.isfinite([other.im, other.mm]).all()
