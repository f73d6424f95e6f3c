"""Published cases of Derive's two portfolio margins, re-typed with their figures.

Source: test data of the Derive v2-core repository, commit 7736900d of 2026-01-21; figures to six decimals.
``IM`` and ``MM`` are net margins, equity minus the requirement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

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

#: qty, call or put, strike, implied vol
Lines = Sequence[tuple[float, str, float, float]]

LONG_CALL = [(1.0, "C", 1500.0, 1.0478844940849863)]
SHORT_BOX = [
    (-1.0, "C", 100000.0, 0.5543377511787965),
    (1.0, "C", 110000.0, 0.5592157396329432),
    (1.0, "P", 100000.0, 0.5543377511787965),
    (-1.0, "P", 110000.0, 0.5592157396329432),
]


@dataclass(frozen=True)
class First:
    """A case of the first generation on ETH: index 1500, perpetual 1505.

    An expiry is seconds away, the moving and the fixed part of its forward, its rate and its lines.
    ``cash`` includes what the perpetual has not settled, ``basis`` is the basis contingency, ``im`` and
    ``mm`` are net.
    """

    name: str
    expiries: Sequence[tuple[int, float, float, float, Lines]]
    _: KW_ONLY
    im: float
    mm: float
    confidence: float = 1.0
    perpetuals: float = 0.0
    cash: float = 0.0
    basis: float = 0.0


@dataclass(frozen=True)
class Second:
    """A case of the second generation on one coin.

    An expiry is seconds away, forward, rate and lines; a perpetual is quantity, price and confidence;
    collateral is currency, amount, price and confidence; ``changed`` are parameters other than the published.
    """

    name: str
    spot: float
    expiries: Sequence[tuple[int, float, float, Lines]] = ()
    _: KW_ONLY
    im: float
    mm: float
    confidence: float = 1.0
    stable: float = STABLE
    cash: float = 0.0
    perpetual: tuple[float, float, float] | None = None
    collateral: tuple[str, float, float, float] | None = None
    changed: Mapping[str, float] = field(default_factory=dict)


V1_CASES = [
    First(
        "Test1",
        [(500400, 1500.833279310994, 0.0, 0.03, [(-1.0, "C", 1500.0, 1.0478844940849863)])],
        basis=-11.275911,
        im=-368.48762,
        mm=-301.768535,
    ),
    First(
        "Test2",
        [(500400, 1500.833279310994, 0.0, 0.03, [(1.0, "C", 1200.0, 1.1389393988282974)])],
        basis=-17.381591,
        im=14.004465,
        mm=81.329742,
    ),
    First(
        "Test3",
        [
            (
                500400,
                1500.833279310994,
                0.0,
                0.03,
                [(1.0, "C", 500.0, 1.653152366370104), (-1.0, "C", 900.0, 1.3286574638971111)],
            )
        ],
        basis=-0.027443,
        im=332.344238,
        mm=347.943066,
    ),
    First(
        "Test4",
        [(500400, 1500.833279310994, 0.0, 0.03, LONG_CALL)],
        confidence=0.5,
        basis=-8.477301,
        im=-398.511886,
        mm=0.230453,
    ),
    First(
        "Test5",
        [(500400, 1500.833279310994, 0.0, 0.03, LONG_CALL)],
        confidence=0.1,
        basis=-8.477301,
        im=-698.511886,
        mm=0.230453,
    ),
    First(
        "Test6",
        [(500400, 1500.833279310994, 0.0, 0.03, LONG_CALL)],
        confidence=0.8,
        basis=-8.477301,
        im=-23.511886,
        mm=0.230453,
    ),
    First(
        "Test13",
        [
            (
                500400,
                1500.833279310994,
                0.0,
                0.03,
                [
                    (1.0, "C", 1.0, 3.603538277664962),
                    (-1.0, "C", 1500.0, 1.0478844940849863),
                    (1.0, "P", 1500.0, 1.0478844940849863),
                    (1.0, "C", 2700.0, 1.364990899660473),
                    (-1.0, "P", 2700.0, 1.364990899660473),
                ],
            ),
            (
                1191600,
                1501.9850451871957,
                0.0,
                0.05,
                [
                    (1.0, "P", 2950.0, 1.407606763626378),
                    (-1.0, "C", 1500.0, 1.0475548094157237),
                    (1.0, "P", 1500.0, 1.0475548094157237),
                    (1.0, "C", 2700.0, 1.3646127911859478),
                    (-1.0, "P", 2700.0, 1.3646127911859478),
                ],
            ),
        ],
        basis=-37.338005,
        im=500.576852,
        mm=511.778254,
    ),
    First(
        "Test15",
        [
            (
                500400,
                1500.833279310994,
                0.0,
                0.03,
                [(1.0, "C", 1500.0, 1.0478844940849863), (-1.0, "P", 1500.0, 1.0478844940849863)],
            )
        ],
        basis=-18.772323,
        im=-291.82921,
        mm=-224.291713,
    ),
    First("Test16", [], perpetuals=1.0, basis=0.0, im=-332.475, mm=-255.75),
    First("Test17", [], perpetuals=1.0, cash=1065.0, basis=0.0, im=732.525, mm=809.25),
    First(
        "Test18",
        [(900, 375.00037457210493, 1101.6666666666667, 0.01, [(-1.0, "C", 1500.0, 1.048124566815733)])],
        basis=-0.383813,
        im=-62.717997,
        mm=-48.246077,
    ),
    First(
        "Test20",
        [
            (
                500400,
                1500.833279310994,
                0.0,
                0.03,
                [
                    (-1.0, "C", 1500.0, 1.0478844940849863),
                    (1.0, "P", 1500.0, 1.0478844940849863),
                    (1.0, "C", 2500.0, 1.32653865803086),
                    (-1.0, "P", 2500.0, 1.32653865803086),
                ],
            )
        ],
        basis=0.0,
        im=-1000.0,
        mm=-1000.0,
    ),
    First(
        "Test21",
        [
            (
                500400,
                1500.833279310994,
                0.0,
                0.03,
                [
                    (1.0, "C", 1500.0, 1.0478844940849863),
                    (-1.0, "P", 1500.0, 1.0478844940849863),
                    (-1.0, "C", 2500.0, 1.32653865803086),
                    (1.0, "P", 2500.0, 1.32653865803086),
                ],
            )
        ],
        basis=-0.0,
        im=931.673091,
        mm=947.440839,
    ),
]

V2_CASES = [
    Second("collateral_cash_only", 2681.6029850999994, cash=1000.0, im=1000.0, mm=1000.0),
    Second(
        "collateral_usdt_only",
        95663.50604855,
        collateral=("USDT", 1000.0, 0.9998423118, 1.0),
        im=949.668917,
        mm=979.658462,
    ),
    Second(
        "collateral_usdc_depeg_only_cash", 2681.6029850999994, stable=0.52, cash=1000.0, im=1000.0, mm=1000.0
    ),
    Second(
        "risk_cancelling_naked_short_call",
        95663.50604855,
        [(794852, 95776.67392708939, 0.15, [(-1.0, "C", 100000.0, 0.453803924321583)])],
        im=-14604.04812,
        mm=-11824.858704,
    ),
    Second(
        "risk_cancelling_btc_covered_call",
        95663.50604855,
        [(794852, 95776.67392708939, 0.15, [(-2.0, "C", 100000.0, 0.453803924321583)])],
        collateral=("BTC", 1.0, 95663.50605, 1.0),
        im=74395.669643,
        mm=78744.926029,
    ),
    Second(
        "structures_OTM_call_spread",
        2681.6029850999994,
        [
            (
                794852,
                2682.9997436016715,
                0.15,
                [(-1.0, "C", 4000.0, 0.8795543651099665), (1.0, "C", 4200.0, 0.8833255402190362)],
            )
        ],
        im=-35.758446,
        mm=-25.964048,
    ),
    Second(
        "structures_basic_put",
        95663.50604855,
        [(1399652, 95923.63240250274, 0.17, [(-1.0, "P", 100000.0, 0.4547630768795904)])],
        im=-22163.82044,
        mm=-18851.840812,
    ),
    Second(
        "structures_long_box",
        95663.50604855,
        [
            (
                18938852,
                100374.61000117072,
                0.1,
                [
                    (1.0, "C", 100000.0, 0.5543377511787965),
                    (-1.0, "C", 110000.0, 0.5592157396329432),
                    (-1.0, "P", 100000.0, 0.5543377511787965),
                    (1.0, "P", 110000.0, 0.5592157396329432),
                ],
            )
        ],
        im=8029.631388,
        mm=8307.131141,
    ),
    Second(
        "structures_short_box",
        95663.50604855,
        [(18938852, 100374.61000117072, 0.4, SHORT_BOX)],
        im=-9676.886038,
        mm=-9314.420326,
    ),
    Second(
        "structures_short_box_capped",
        95663.50604855,
        [(18938852, 100374.61000117072, 0.1, SHORT_BOX)],
        changed={"short_rate_mult": 3.0, "short_rate_add": 5.0},
        im=-10000.0,
        mm=-9883.42603,
    ),
    Second(
        "structures_risk_reversal_dn",
        2681.0,
        [
            (
                1399652,
                2687.1439750528034,
                0.17,
                [(1.0, "C", 3100.0, 0.6826604391503175), (-1.0, "P", 2375.0, 0.689188821287917)],
            )
        ],
        perpetual=(-0.354, 2681.0, 1.0),
        im=-151.786105,
        mm=-118.851266,
    ),
    Second("perps_basic_perp", 3000.0, cash=10.0, perpetual=(1.0, 3100.0, 1.0), im=-608.0, mm=-481.4),
    Second(
        "perps_basic_perp_low_confidence",
        3000.0,
        confidence=0.2,
        cash=-610.0,
        perpetual=(1.0, 2500.0, 0.1),
        im=-3820.0,
        mm=-1015.0,
    ),
    Second(
        "perps_perp_hedging",
        100000.0,
        confidence=0.2,
        perpetual=(-1.0, 100000.0, 0.1),
        collateral=("LBTC", 1.0, 100000.0, 1.0),
        im=-76506.393472,
        mm=95478.739319,
    ),
    Second(
        "discounting_cap_mark_up_discounting",
        95663.50604855,
        [(18938852, 100374.61000117072, 0.2, SHORT_BOX)],
        changed={"short_rate_mult": 10.0, "short_rate_add": 1.2},
        im=-10000.0,
        mm=-9773.646806,
    ),
    Second(
        "discounting_negative_rate",
        95663.50604855,
        [(18938852, 100374.61000117072, -1.2, SHORT_BOX)],
        im=-10000.0,
        mm=-10000.0,
    ),
    Second(
        "settlement_near_expiry",
        2681.6029850999994,
        [(1, 2682.9997436016715, 0.15, [(-1.0, "C", 2700.0, 0.6360190705815766)])],
        changed={"min_volatility_for_shock_up": 1.0},
        im=-13.408015,
        mm=-8.044809,
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


def v1_case(case: First) -> ConformanceCase:
    draft = CaseDraft({"ETH": 1500.0}, 1.0)
    draft.underlyings["ETH"] = UnderlyingFeed(case.confidence, 1.0)
    for seconds, moving, fixed, rate, lines in case.expiries:
        draft.add_expiry("ETH", seconds, moving + fixed, ExpiryFeed(rate, fixed=fixed))
        for qty, side, strike, iv in lines:
            draft.add_option("ETH", seconds, strike, side == "C", qty, iv)
    if case.perpetuals:
        draft.add_perpetual("ETH", case.perpetuals, 1505.0)
    draft.balances["USDC"] = case.cash
    parameters = next(s for s in load_parameter_sets("derive-pmrm-v1") if s.variant == "reference")
    return draft.case(case.name, "derive-pmrm-v1", parameters, 0.0, im=case.im, mm=case.mm)


def v2_case(case: Second) -> ConformanceCase:
    coin = "BTC" if case.spot > 10_000.0 else "ETH"
    draft = CaseDraft({coin: case.spot}, case.stable)
    draft.underlyings[coin] = UnderlyingFeed(case.confidence, case.perpetual[2] if case.perpetual else 1.0)
    for seconds, forward, rate, lines in case.expiries:
        draft.add_expiry(coin, seconds, forward, ExpiryFeed(rate, vol_confidence=0.95))
        for qty, side, strike, iv in lines:
            draft.add_option(coin, seconds, strike, side == "C", qty, iv)
    if case.perpetual:
        draft.add_perpetual(coin, case.perpetual[0], case.perpetual[1])
    draft.balances["USDC"] = case.cash
    if case.collateral:
        currency, amount, price, own = case.collateral
        draft.balances[currency] = amount
        draft.prices[currency] = CollateralFeed(price, own)
    parameters = next(s for s in load_parameter_sets("derive-pmrm-v2") if s.variant == "reference")
    if case.changed:
        parameters = parameters.with_values(coin, **case.changed)
    return draft.case(case.name, "derive-pmrm-v2", parameters, 0.0, im=case.im, mm=case.mm)


def result_of(case: ConformanceCase) -> MarginResult:
    result = case.rule.requirement(case.account, case.snapshot)
    result.check()
    return result


@pytest.mark.parametrize("row", V1_CASES, ids=[row.name for row in V1_CASES])
def test_first_generation(row: First) -> None:
    case = v1_case(row)
    for line in run_case(case):
        assert line.got == pytest.approx(line.expected, abs=PRINTED), line.item
    matrix = result_of(case).figures["matrix"]
    assert matrix.loc[BASIS_ROW, "final"] == pytest.approx(row.basis, abs=PRINTED)


@pytest.mark.parametrize("row", V2_CASES, ids=[row.name for row in V2_CASES])
def test_second_generation(row: Second) -> None:
    for line in run_case(v2_case(row)):
        assert line.got == pytest.approx(line.expected, abs=1e-5 if "usdt" in row.name else 2e-6), line.item


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
