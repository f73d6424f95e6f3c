"""Published cases of Derive's two portfolio margins, re-typed with their figures.

Source: test data of the Derive v2-core repository, commit 7736900d of 2026-01-21; figures to six decimals.
``IM`` and ``MM`` are net margins, equity minus the requirement.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pmkit.margin.conformance.derive import CaseDraft
from pmkit.margin.conformance.feeds import CollateralFeed, ExpiryFeed, UnderlyingFeed
from pmkit.margin.conformance.run import ConformanceCase, conform, run_case
from pmkit.margin.engine.expiry_matrix import BASIS_ROW
from pmkit.margin.parameters import load_parameter_sets
from pmkit.margin.result import MarginResult

STABLE = 1.00019088635
#: half a unit of the last printed digit
PRINTED = 6e-7

# name, confidence of spot, expiries (seconds, moving and fixed forward, rate, lines), perpetuals, cash with
# what the perpetual has not settled, basis contingency, IM, MM; spot 1500, perpetual 1505, else confidence 1
V1_CASES = [
    (
        "Test1",
        1.0,
        ((500400, 1500.833279310994, 0.0, 0.03, ((-1.0, "C", 1500.0, 1.0478844940849863),)),),
        0.0,
        0.0,
        -11.275911,
        -368.48762,
        -301.768535,
    ),
    (
        "Test2",
        1.0,
        ((500400, 1500.833279310994, 0.0, 0.03, ((1.0, "C", 1200.0, 1.1389393988282974),)),),
        0.0,
        0.0,
        -17.381591,
        14.004465,
        81.329742,
    ),
    (
        "Test3",
        1.0,
        (
            (
                500400,
                1500.833279310994,
                0.0,
                0.03,
                (
                    (1.0, "C", 500.0, 1.653152366370104),
                    (-1.0, "C", 900.0, 1.3286574638971111),
                ),
            ),
        ),
        0.0,
        0.0,
        -0.027443,
        332.344238,
        347.943066,
    ),
    (
        "Test4",
        0.5,
        ((500400, 1500.833279310994, 0.0, 0.03, ((1.0, "C", 1500.0, 1.0478844940849863),)),),
        0.0,
        0.0,
        -8.477301,
        -398.511886,
        0.230453,
    ),
    (
        "Test5",
        0.1,
        ((500400, 1500.833279310994, 0.0, 0.03, ((1.0, "C", 1500.0, 1.0478844940849863),)),),
        0.0,
        0.0,
        -8.477301,
        -698.511886,
        0.230453,
    ),
    (
        "Test6",
        0.8,
        ((500400, 1500.833279310994, 0.0, 0.03, ((1.0, "C", 1500.0, 1.0478844940849863),)),),
        0.0,
        0.0,
        -8.477301,
        -23.511886,
        0.230453,
    ),
    (
        "Test13",
        1.0,
        (
            (
                500400,
                1500.833279310994,
                0.0,
                0.03,
                (
                    (1.0, "C", 1.0, 3.603538277664962),
                    (-1.0, "C", 1500.0, 1.0478844940849863),
                    (1.0, "P", 1500.0, 1.0478844940849863),
                    (1.0, "C", 2700.0, 1.364990899660473),
                    (-1.0, "P", 2700.0, 1.364990899660473),
                ),
            ),
            (
                1191600,
                1501.9850451871957,
                0.0,
                0.05,
                (
                    (1.0, "P", 2950.0, 1.407606763626378),
                    (-1.0, "C", 1500.0, 1.0475548094157237),
                    (1.0, "P", 1500.0, 1.0475548094157237),
                    (1.0, "C", 2700.0, 1.3646127911859478),
                    (-1.0, "P", 2700.0, 1.3646127911859478),
                ),
            ),
        ),
        0.0,
        0.0,
        -37.338005,
        500.576852,
        511.778254,
    ),
    (
        "Test15",
        1.0,
        (
            (
                500400,
                1500.833279310994,
                0.0,
                0.03,
                (
                    (1.0, "C", 1500.0, 1.0478844940849863),
                    (-1.0, "P", 1500.0, 1.0478844940849863),
                ),
            ),
        ),
        0.0,
        0.0,
        -18.772323,
        -291.82921,
        -224.291713,
    ),
    ("Test16", 1.0, (), 1.0, 0.0, 0.0, -332.475, -255.75),
    ("Test17", 1.0, (), 1.0, 1065.0, 0.0, 732.525, 809.25),
    (
        "Test18",
        1.0,
        ((900, 375.00037457210493, 3305.0 / 3.0, 0.01, ((-1.0, "C", 1500.0, 1.048124566815733),)),),
        0.0,
        0.0,
        -0.383813,
        -62.717997,
        -48.246077,
    ),
    (
        "Test20",
        1.0,
        (
            (
                500400,
                1500.833279310994,
                0.0,
                0.03,
                (
                    (-1.0, "C", 1500.0, 1.0478844940849863),
                    (1.0, "P", 1500.0, 1.0478844940849863),
                    (1.0, "C", 2500.0, 1.32653865803086),
                    (-1.0, "P", 2500.0, 1.32653865803086),
                ),
            ),
        ),
        0.0,
        0.0,
        0.0,
        -1000.0,
        -1000.0,
    ),
    (
        "Test21",
        1.0,
        (
            (
                500400,
                1500.833279310994,
                0.0,
                0.03,
                (
                    (1.0, "C", 1500.0, 1.0478844940849863),
                    (-1.0, "P", 1500.0, 1.0478844940849863),
                    (-1.0, "C", 2500.0, 1.32653865803086),
                    (1.0, "P", 2500.0, 1.32653865803086),
                ),
            ),
        ),
        0.0,
        0.0,
        -0.0,
        931.673091,
        947.440839,
    ),
]

# name, spot, its confidence, stable, cash as above, perpetual (size, price, confidence), collateral
# (currency, amount, price, confidence), expiries (seconds, forward, rate, lines), changed parameters, IM, MM
V2_CASES = [
    ("collateral_cash_only", 2681.6029850999994, 1, STABLE, 1000.0, None, None, (), {}, 1000.0, 1000.0),
    (
        "collateral_usdt_only",
        95663.50604855,
        1,
        STABLE,
        0.0,
        None,
        ("USDT", 1000.0, 0.9998423118, 1.0),
        (),
        {},
        949.668917,
        979.658462,
    ),
    (
        "collateral_usdc_depeg_only_cash",
        2681.6029850999994,
        1,
        0.52,
        1000.0,
        None,
        None,
        (),
        {},
        1000.0,
        1000.0,
    ),
    (
        "risk_cancelling_naked_short_call",
        95663.50604855,
        1,
        STABLE,
        0.0,
        None,
        None,
        ((794852, 95776.67392708939, 0.15, ((-1.0, "C", 100000.0, 0.453803924321583),)),),
        {},
        -14604.04812,
        -11824.858704,
    ),
    (
        "risk_cancelling_btc_covered_call",
        95663.50604855,
        1,
        STABLE,
        0.0,
        None,
        ("BTC", 1.0, 95663.50605, 1.0),
        ((794852, 95776.67392708939, 0.15, ((-2.0, "C", 100000.0, 0.453803924321583),)),),
        {},
        74395.669643,
        78744.926029,
    ),
    (
        "structures_OTM_call_spread",
        2681.6029850999994,
        1,
        STABLE,
        0.0,
        None,
        None,
        (
            (
                794852,
                2682.9997436016715,
                0.15,
                (
                    (-1.0, "C", 4000.0, 0.8795543651099665),
                    (1.0, "C", 4200.0, 0.8833255402190362),
                ),
            ),
        ),
        {},
        -35.758446,
        -25.964048,
    ),
    (
        "structures_basic_put",
        95663.50604855,
        1,
        STABLE,
        0.0,
        None,
        None,
        ((1399652, 95923.63240250274, 0.17, ((-1.0, "P", 100000.0, 0.4547630768795904),)),),
        {},
        -22163.82044,
        -18851.840812,
    ),
    (
        "structures_long_box",
        95663.50604855,
        1,
        STABLE,
        0.0,
        None,
        None,
        (
            (
                18938852,
                100374.61000117072,
                0.1,
                (
                    (1.0, "C", 100000.0, 0.5543377511787965),
                    (-1.0, "C", 110000.0, 0.5592157396329432),
                    (-1.0, "P", 100000.0, 0.5543377511787965),
                    (1.0, "P", 110000.0, 0.5592157396329432),
                ),
            ),
        ),
        {},
        8029.631388,
        8307.131141,
    ),
    (
        "structures_short_box",
        95663.50604855,
        1,
        STABLE,
        0.0,
        None,
        None,
        (
            (
                18938852,
                100374.61000117072,
                0.4,
                (
                    (-1.0, "C", 100000.0, 0.5543377511787965),
                    (1.0, "C", 110000.0, 0.5592157396329432),
                    (1.0, "P", 100000.0, 0.5543377511787965),
                    (-1.0, "P", 110000.0, 0.5592157396329432),
                ),
            ),
        ),
        {},
        -9676.886038,
        -9314.420326,
    ),
    (
        "structures_short_box_capped",
        95663.50604855,
        1,
        STABLE,
        0.0,
        None,
        None,
        (
            (
                18938852,
                100374.61000117072,
                0.1,
                (
                    (-1.0, "C", 100000.0, 0.5543377511787965),
                    (1.0, "C", 110000.0, 0.5592157396329432),
                    (1.0, "P", 100000.0, 0.5543377511787965),
                    (-1.0, "P", 110000.0, 0.5592157396329432),
                ),
            ),
        ),
        {"short_rate_mult": 3.0, "short_rate_add": 5.0},
        -10000.0,
        -9883.42603,
    ),
    (
        "structures_risk_reversal_dn",
        2681.0,
        1,
        STABLE,
        0.0,
        (-0.354, 2681.0, 1.0),
        None,
        (
            (
                1399652,
                2687.1439750528034,
                0.17,
                (
                    (1.0, "C", 3100.0, 0.6826604391503175),
                    (-1.0, "P", 2375.0, 0.689188821287917),
                ),
            ),
        ),
        {},
        -151.786105,
        -118.851266,
    ),
    ("perps_basic_perp", 3000.0, 1, STABLE, 10.0, (1.0, 3100.0, 1.0), None, (), {}, -608.0, -481.4),
    (
        "perps_basic_perp_low_confidence",
        3000.0,
        0.2,
        STABLE,
        -610.0,
        (1.0, 2500.0, 0.1),
        None,
        (),
        {},
        -3820.0,
        -1015.0,
    ),
    (
        "perps_perp_hedging",
        100000.0,
        0.2,
        STABLE,
        0.0,
        (-1.0, 100000.0, 0.1),
        ("LBTC", 1.0, 100000.0, 1.0),
        (),
        {},
        -76506.393472,
        95478.739319,
    ),
    (
        "discounting_cap_mark_up_discounting",
        95663.50604855,
        1,
        STABLE,
        0.0,
        None,
        None,
        (
            (
                18938852,
                100374.61000117072,
                0.2,
                (
                    (-1.0, "C", 100000.0, 0.5543377511787965),
                    (1.0, "C", 110000.0, 0.5592157396329432),
                    (1.0, "P", 100000.0, 0.5543377511787965),
                    (-1.0, "P", 110000.0, 0.5592157396329432),
                ),
            ),
        ),
        {"short_rate_mult": 10.0, "short_rate_add": 1.2},
        -10000.0,
        -9773.646806,
    ),
    (
        "discounting_negative_rate",
        95663.50604855,
        1,
        STABLE,
        0.0,
        None,
        None,
        (
            (
                18938852,
                100374.61000117072,
                -1.2,
                (
                    (-1.0, "C", 100000.0, 0.5543377511787965),
                    (1.0, "C", 110000.0, 0.5592157396329432),
                    (1.0, "P", 100000.0, 0.5543377511787965),
                    (-1.0, "P", 110000.0, 0.5592157396329432),
                ),
            ),
        ),
        {},
        -10000.0,
        -10000.0,
    ),
    (
        "settlement_near_expiry",
        2681.6029850999994,
        1,
        STABLE,
        0.0,
        None,
        None,
        ((1, 2682.9997436016715, 0.15, ((-1.0, "C", 2700.0, 0.6360190705815766),)),),
        {"min_volatility_for_shock_up": 1.0},
        -13.408015,
        -8.044809,
    ),
]

# the naked short call scenario by scenario: move, vol, P&L
VECTOR = [
    (0.18, "up", -12939.31202),
    (0.135, "down", -7569.803984),
    (0.135, "same", -7978.264376),
    (0.135, "up", -9430.612502),
    (0.09, "down", -3595.67234),
    (0.09, "same", -4456.996722),
    (0.09, "up", -6342.011085),
    (0.045, "down", -605.23746),
    (0.045, "same", -1731.931878),
    (0.045, "up", -3778.999279),
    (0.0, "down", 819.139481),
    (0.0, "same", -4.493969),
    (0.0, "up", -1808.933553),
    (-0.045, "down", 1154.179248),
    (-0.045, "same", 829.214343),
    (-0.045, "up", -433.880971),
    (-0.09, "down", 1185.468292),
    (-0.09, "same", 1113.630542),
    (-0.09, "up", 418.408722),
    (-0.135, "down", 1186.411211),
    (-0.135, "same", 1177.181792),
    (-0.135, "up", 875.932367),
    (-0.18, "up", 1082.697694),
    (-0.66, "up", 64.71374),
    (-0.33, "up", 129.384515),
    (0.5, "up", -3058.966962),
    (1.0, "up", -3253.209462),
    (2.0, "up", -3350.584858),
    (3.0, "up", -3383.043326),
    (0.0, "linear skew", -43.433953),
    (0.0, "abs skew", -43.433953),
]


def v1_case(case: tuple[Any, ...]) -> ConformanceCase:
    name, confidence, expiries, perpetuals, cash, _, im, mm = case
    draft = CaseDraft({"ETH": 1500.0}, 1.0)
    draft.underlyings["ETH"] = UnderlyingFeed(confidence, 1.0)
    for seconds, moving, fixed, rate, lines in expiries:
        draft.add_expiry("ETH", seconds, moving + fixed, ExpiryFeed(rate, fixed=fixed))
        for qty, side, strike, iv in lines:
            draft.add_option("ETH", seconds, strike, side == "C", qty, iv)
    if perpetuals:
        draft.add_perpetual("ETH", perpetuals, 1505.0)
    draft.balances["USDC"] = cash
    parameters = next(s for s in load_parameter_sets("derive-pmrm-v1") if s.variant == "reference")
    return draft.case(name, "derive-pmrm-v1", parameters, 0.0, im=im, mm=mm)


def v2_case(case: tuple[Any, ...]) -> ConformanceCase:
    name, spot, confidence, stable, cash, perpetual, collateral, expiries, changed, im, mm = case
    coin = "BTC" if spot > 10_000.0 else "ETH"
    draft = CaseDraft({coin: spot}, stable)
    draft.underlyings[coin] = UnderlyingFeed(confidence, perpetual[2] if perpetual else 1.0)
    for seconds, forward, rate, lines in expiries:
        draft.add_expiry(coin, seconds, forward, ExpiryFeed(rate, vol_confidence=0.95))
        for qty, side, strike, iv in lines:
            draft.add_option(coin, seconds, strike, side == "C", qty, iv)
    if perpetual:
        draft.add_perpetual(coin, perpetual[0], perpetual[1])
    draft.balances["USDC"] = cash
    if collateral:
        currency, amount, price, own = collateral
        draft.balances[currency] = amount
        draft.prices[currency] = CollateralFeed(price, own)
    parameters = next(s for s in load_parameter_sets("derive-pmrm-v2") if s.variant == "reference")
    if changed:
        parameters = parameters.with_values(coin, **changed)
    return draft.case(name, "derive-pmrm-v2", parameters, 0.0, im=im, mm=mm)


def result_of(case: ConformanceCase) -> MarginResult:
    result = case.rule.requirement(case.account, case.snapshot)
    result.check()
    return result


@pytest.mark.parametrize("row", V1_CASES, ids=[row[0] for row in V1_CASES])
def test_first_generation(row: tuple[Any, ...]) -> None:
    case = v1_case(row)
    for line in run_case(case):
        assert line.got == pytest.approx(line.expected, abs=PRINTED), line.item
    matrix = result_of(case).figures["matrix"]
    assert matrix.loc[BASIS_ROW, "final"] == pytest.approx(row[5], abs=PRINTED)


@pytest.mark.parametrize("row", V2_CASES, ids=[row[0] for row in V2_CASES])
def test_second_generation(row: tuple[Any, ...]) -> None:
    for line in run_case(v2_case(row)):
        assert line.got == pytest.approx(line.expected, abs=1e-5 if "usdt" in row[0] else 2e-6), line.item


def test_the_naked_short_call_of_the_first_generation_step_by_step() -> None:
    case = v1_case(V1_CASES[0])
    result = result_of(case)
    steps = result.explain().set_index("what")["value"]
    assert result.worst_scenario.name == "+15%, vol up"
    assert result.worst_scenario.pnl == pytest.approx(-207.39694967, abs=6e-9)
    assert steps["option contingency"] == pytest.approx(15.0, abs=1e-12)
    assert steps["net maintenance margin"] == pytest.approx(-301.76854, abs=6e-6)
    assert steps["net initial margin"] == pytest.approx(-368.48762, abs=6e-6)


def test_the_naked_short_call_of_the_second_generation_scenario_by_scenario() -> None:
    result = result_of(v2_case(V2_CASES[3]))
    matrix = result.figures["matrix"]
    assert len(VECTOR) == len(matrix) - 1 == 31
    for (move, vol, pnl), (label, row) in zip(VECTOR, matrix.iterrows(), strict=False):
        assert str(label).endswith(vol)
        assert row["move"] == move
        assert row["final"] == pytest.approx(pnl, abs=PRINTED), label
    assert matrix.loc[BASIS_ROW, "final"] == pytest.approx(-947.2098049301085, abs=1e-9)
    steps = result.explain().set_index("what")["value"]
    assert steps["value of options"] == pytest.approx(-1186.4185694587657, abs=1e-9)
    assert steps["option contingency"] == pytest.approx(286.99051814565, abs=1e-9)
    assert steps["option contingency, more for initial margin"] == pytest.approx(191.3270120971, abs=1e-9)


FILES = {"derive-pmrm-v1": ("pmrm_v1_cases.json.gz", 8), "derive-pmrm-v2": ("pmrm_v2_cases.jsonl.gz", 37)}


@pytest.mark.parametrize("name", FILES)
def test_the_case_files_of_the_venue(extra_data: Path, name: str) -> None:
    file, count = FILES[name]
    found = conform(name, [extra_data / "derive_margin_cases" / file])
    assert found.ok, found.to_frame().query("not ok")
    assert found.cases == count and len(found.lines) == 3 * count
    found.check()
    sizes = found.to_frame()
    assert (sizes["difference"].abs() / sizes["expected"].abs().clip(lower=1.0)).max() < 3e-12
