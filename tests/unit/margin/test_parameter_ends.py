"""Every key of every rule's parameter table at its lowest and highest sensible value: it runs, and moves."""

from __future__ import annotations

import dataclasses
import datetime
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from pmkit.core.errors import PmkitWarning, ThinTailError
from pmkit.margin import Account, MarginResult, collateral_value, rule
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.schemas import SCHEMAS
from pmkit.market import load_snapshot
from pmkit.market.snapshot import MarketSnapshot
from tests.unit.margin import test_derive_rules as derive
from tests.unit.margin import test_venue_parameters as venues
from tests.unit.margin.listed_books import requirement
from tests.unit.margin.test_measured_parts import DESIGN_ENDS
from tests.unit.margin.test_reg_t import EXTREMES as REG_T
from tests.unit.margin.test_simm import EXTREMES as SIMM
from tests.unit.margin.test_span import EXTREMES as SPAN
from tests.unit.margin.test_tims import EXTREMES as TIMS
from tests.unit.margin.test_tims import GROUPS as TIMS_GROUPS
from tests.unit.margin.test_venue_parameters import ENDS as VENUES

Make = Callable[..., Account]
#: lowest value, highest value, direction of the requirement between them; 0 where it has none
Ends = dict[str, tuple[Any, Any, int]]


@pytest.fixture(autouse=True)
def _said_elsewhere() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        yield


# -- Deribit ------------------------------------------------------------------------------------------------
VOL_SHOCK: Ends = {
    "volatility_range_up": (0.01, 5.0, 1),
    "volatility_range_down": (0.0, 1.0, 1),
    "short_term_vega_power": (0.0, 2.0, 1),
    "long_term_vega_power": (0.0, 2.0, -1),
    "vega_reference_days": (1.0, 365.0, 1),
    "vega_floor_days": (0.01, 30.0, -1),
}
SPM: Ends = {
    **VOL_SHOCK,
    "price_range": (0.01, 0.32, 1),
    "buckets_per_side": (1, 100, 1),
    "min_volatility_for_shock_up": (0.0, 5.0, 1),
    "extended_moves": ((-0.33,), (-0.66, -0.33, 0.5, 1.0, 2.0, 5.0), 1),
    "extended_table_factor": (0.0, 5.0, 1),
    "extended_dampener": (0.0, 1e9, -1),
    "pnl_offset": (0.0, 1.0, 0),
    "max_offsetable_pnl": (0.0, 1e12, 0),
    "annualised_move_risk": (0.0, 10.0, 1),
    "min_annualised_move": (0.0, 1.0, 1),
    "delta_total_liq_shock_threshold": (0.0, 1e12, -1),
    "max_delta_shock": (0.0, 1.0, 1),
    "m_inc": (0.0, 1.0, 1),
    "correlation_contingency": (0.0, 1.0, 1),
    "worst_case_decimals": (0, 15, 0),
    "mm_factor": (0.001, 1.0, 1),
}
#: how the equity of a coin and the coin itself join the account
CROSS: Ends = {
    "combination": ("together", "apart", 1),
    "haircut": (0.0, 1.0, 1),
    "equity_side_impact": ("none", "both", 1),
}
CLASSIC: Ends = {
    **VOL_SHOCK,
    "price_range": (0.01, 0.99, 1),
    "buckets_per_side": (1, 100, 1),
    "futures_contingency": (0.0, 1.0, 1),
    "short_option_contingency": (0.0, 1.0, 1),
    "atm_range": (0.001, 0.999, -1),
    "im_factor": (1.0, 10.0, 1),
}
STANDARD: Ends = {
    "option_im_rate": (0.0, 1.0, 1),
    "option_im_floor": (0.08, 1.0, 1),
    "option_mm_rate": (0.0, 0.1, 1),
    "put_mm_mark_rate": (0.0, 1.0, 1),
    "future_im_rate": (0.02, 1.0, 1),
    "future_im_slope": (0.0001, 0.1, 1),
    "future_mm_rate": (0.0, 0.02, 1),
    "future_mm_slope": (0.0, 0.00005, 1),
}
BTC_BOOKS: tuple[dict[str, float], ...] = (
    {"BTC-28JUN24-90000-C": -200.0, "BTC-PERPETUAL": 1000.0},
    {"BTC-14JUN24-60000-C": -20.0, "BTC-14JUN24-60000-P": -20.0},
    {"BTC-27DEC24-60000-C": -20.0, "BTC-27DEC24-60000-P": -20.0},
    {"BTC-28JUN24-65000-C": 20.0, "BTC-28JUN24-65000-P": 20.0},
    {"BTC-PERPETUAL": 6_000_000.0, "BTC-27DEC24": -60_000.0},
    {"BTC-PERPETUAL": 24_000_000.0},
    {"BTC-27DEC24-155000-P": -1.0},
    {"BTC-28JUN24-60000-C": -1.0, "BTC-28JUN24-80000-C": -1.0},
)
GAINS = {"pnl_offset": {"max_offsetable_pnl": 1e6}, "max_offsetable_pnl": {"pnl_offset": 0.5}}


def deribit(
    name: str, variant: str | None, key: str, value: Any, market: MarketSnapshot, make: Make
) -> float:
    """Return IM plus MM over the books; for a share of gains, the gains that the matrix shows."""
    if key in CROSS:
        return crossed(name, key, value, market, make)
    base = next(s for s in load_parameter_sets(name) if variant in (None, s.variant))
    # a balance that moves hides the rest
    plain = {"equity_side_impact": "none"} if variant == "xpm" else {}
    parameters = base.with_values("BTC", **{**plain, **GAINS.get(key, {}), key: value})
    out = []
    for held in BTC_BOOKS:
        made = rule(name, variant=variant, stale="warn", parameters=(parameters,))
        result = checked(made.requirement(make(held, {"BTC": 5000.0}), market))
        matrix = result.figures["matrix BTC" if variant == "xpm" else "matrix"] if key in GAINS else None
        gains = 0.0 if matrix is None else matrix["final"].clip(lower=0.0).sum()
        out.append(gains if key in GAINS else result.im + result.mm)
    return math.fsum(out)


def crossed(name: str, key: str, value: Any, market: MarketSnapshot, make: Make) -> float:
    """Return IM plus MM less equity of two coins that hedge each other."""
    base = next(s for s in load_parameter_sets(name) if s.variant == "xpm")
    parameters = base.with_values("BTC", **{key: value}).with_values("ETH", **{key: value})
    account = make({"BTC-PERPETUAL": 600_300.0, "ETH-PERPETUAL": -3_001_500.0}, {"BTC": 5.0})
    result = checked(rule(name, variant="xpm", parameters=(parameters,)).requirement(account, market))
    return result.im + result.mm - result.equity


# -- Derive -------------------------------------------------------------------------------------------------
def scenario_rows(move: float) -> Callable[[Any], Any]:
    return lambda rows: [*rows[:-1], (move, "up", *rows[-1][2:])]


def haircuts(value: float) -> Callable[[Any], Any]:
    return lambda terms: {c: {**t, "mm_haircut": value, "im_haircut": value} for c, t in terms.items()}


MATRIX: Ends = {
    "scenarios": (scenario_rows(0.01), scenario_rows(2.0), 1),
    **VOL_SHOCK,
    "settlement_window_seconds": (1.0, 86_400.0, -1),
    "basis_move_up": (0.001, 1.0, 1),
    "basis_move_down": (-0.9, -0.001, -1),
    "basis_add_factor": (0.0, 100.0, 1),
    "basis_mult_factor": (0.0, 100.0, 1),
    "peg_loss_threshold": (0.0, 1.2, 1),
    "peg_loss_factor": (0.0, 100.0, 1),
    "confidence_threshold": (0.0, 1.0, 1),
    "confidence_margin": (0.0, 100.0, 1),
}
DERIVE: dict[str, Ends] = {
    "derive-pmrm-v1": {
        **MATRIX,
        "static_discount": (0.0, 1.0, -1),
        "rate_mult": (0.0, 100.0, 1),
        "rate_add": (0.0, 100.0, 1),
        "perp_percent": (0.0, 1.0, 1),
        "base_percent": (0.0, 1.0, 1),
        "option_percent": (0.0, 1.0, 1),
        "im_factor": (1.0, 100.0, 1),
    },
    "derive-pmrm-v2": {
        **MATRIX,
        "min_volatility_for_shock_up": (0.0, 5.0, 1),
        "linear_base_cap": (0.0, 5.0, 1),
        "linear_root_cap": (0.0, 5.0, 1),
        "abs_base_cap": (0.0, 5.0, 1),
        "abs_root_cap": (0.0, 5.0, 1),
        "min_k_star": (0.001, 10.0, -1),
        "width_scale": (0.0, 100.0, -1),
        "vol_param_static": (0.0, 10.0, -1),
        "vol_param_scale": (-1.0, 10.0, -1),
        "long_discount": (0.0, 1.0, -1),
        "long_rate_mult": (0.0, 100.0, 1),
        "long_rate_add": (0.0, 100.0, 1),
        "short_discount": (1.0, 100.0, 1),
        "short_rate_mult": (0.0, 100.0, 1),
        "short_rate_add": (0.0, 100.0, 1),
        "mm_perp_percent": (0.0, 1.0, 1),
        "im_perp_percent": (0.0, 1.0, 1),
        "mm_option_percent": (0.0, 1.0, 1),
        "im_option_percent": (0.0, 1.0, 1),
        "mm_factor": (0.01, 1.0, 1),
        "im_factor": (0.8, 100.0, 1),
        "collateral": (haircuts(0.0), haircuts(1.0), 1),
    },
    "derive-srm": {
        "max_spot_req": (0.13, 1.0, 1),
        "min_spot_req": (0.09, 0.15, 1),
        "mm_call_spot_req": (0.0, 0.10, 1),
        "mm_put_spot_req": (0.0, 1.0, 1),
        "mm_put_mtm_req": (0.0, 10.0, 1),
        "unpaired_im_scale": (1.1, 100.0, 1),
        "unpaired_mm_scale": (0.0, 1.2, 1),
        "mm_offset_scale": (1.0, 100.0, 1),
        "perp_im_req": (0.065, 1.0, 1),
        "perp_mm_req": (0.0, 0.065, 1),
        "base_margin_factor": (0.0, 1.0, -1),
        "base_im_scale": (0.0, 1.0, -1),
        "confidence_threshold_option": (0.0, 1.0, 1),
        "confidence_threshold_perp": (0.0, 1.0, 1),
        "confidence_threshold_base": (0.0, 1.0, 1),
        "confidence_factor_option": (0.0, 100.0, 1),
        "confidence_factor_perp": (0.0, 100.0, 1),
        "confidence_factor_base": (0.0, 100.0, 1),
        "peg_loss_threshold": (0.0, 1.2, 1),
        "peg_loss_factor": (0.0, 100.0, 1),
    },
}


#: with the shipped caps no skew row is the worst one
WITH = {"min_k_star": {"linear_base_cap": 5.0, "abs_base_cap": 5.0}}


def derive_total(name: str, key: str, value: Any) -> float:
    base = derive.FIRST_SETS[name]
    if callable(value):
        value = value(base.table("ETH").model_dump()[key])
    parameters = base.with_values("ETH", **WITH.get(key, {}), **{key: value})
    out = []
    for held, collateral, feeds, iv in derive.PANEL:
        made = derive.margin(name, held, collateral, feeds, iv, variant="reference", parameters=(parameters,))
        out.append(made.im + made.mm)
    return math.fsum(out)


# -- rules from a measure -----------------------------------------------------------------------------------
SHARED: Ends = {
    "im_level": (0.98, 0.999, 1),
    "mm_level": (0.6, 0.99, 1),
    "horizon_days": (1, 20, 1),
    "seed": (0, 2**31, 0),
}
MEASURE: dict[str, Ends] = {
    "es-fhs": {
        **SHARED,
        "n_paths": (1_000, 50_000, 0),
        "model": ("ewma", "gjr", 0),
        "dist": ("normal", "t", 0),
        "vol_anchor": (0.05, 4.0, 1),
    },
    "var-hs": {**SHARED, "replications": (1, 50, 0)},
}
MEASURE_SIZE: dict[str, dict[str, Any]] = {
    "es-fhs": {"n_paths": 5_000, "vol_anchor": 0.5, "error_below": 0.0, "min_tail": 0.0},
    "var-hs": {"replications": 2, "error_below": 0.0, "min_tail": 0.0},
}


def measured_total(name: str, key: str, value: Any, market: MarketSnapshot, make: Make) -> float:
    account = make({"BTC-27DEC24": 6000.0, "ETH-PERPETUAL": -30_000.0}, {"BTC": 0.2})
    made = rule(name, **{**MEASURE_SIZE[name], key: value})
    result = checked(made.requirement(account, market))
    return result.im + result.mm


MEASURE_CHAIN: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "dynamics": (("sticky_strike", "sticky_moneyness", "sticky_delta"), {}),
    "bootstrap_replications": ((2, 12), {"estimation_error": True}),
    "bootstrap_paths": ((1_000, 20_000), {"estimation_error": True}),
    "bootstrap_mean_block": ((1.0, 365.0), {}),
}


@pytest.mark.parametrize(
    ("name", "key"),
    [("es-fhs", k) for k in ("dynamics", "bootstrap_replications", "bootstrap_paths")]
    + [("var-hs", k) for k in ("dynamics", "bootstrap_replications", "bootstrap_mean_block")],
)
def test_ends_of_what_errors_and_smiles_are_made_of(name: str, key: str, make_account: Make) -> None:
    values, options = MEASURE_CHAIN[key]
    size: dict[str, Any] = {"replications": 1} if name == "var-hs" else {"n_paths": 1_000, **options}
    if name == "es-fhs" and options:
        size |= {"bootstrap_replications": 2, "bootstrap_paths": 1_000}
    chain = load_snapshot("deribit-btc-2026-08-01")
    account = make_account({"BTC-28AUG26-70000-C": -5, "BTC-25DEC26": 3000}, as_of="2026-08-01T17:58:00Z")
    got = []
    for value in values:
        result = checked(rule(name, **{**size, key: value}).requirement(account, chain))
        figure = result.figures["im"]
        got.append(figure.value if key == "dynamics" else figure.se_estimation)
    assert all(math.isfinite(x) and x > 0.0 for x in got) and len(set(got)) == len(got)


@pytest.mark.parametrize("name", MEASURE)
def test_ends_of_the_limits_of_a_thin_tail(name: str, market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-PERPETUAL": 600})
    size = {k: v for k, v in MEASURE_SIZE[name].items() if k not in ("min_tail", "error_below")}
    for limits, thin in (((0.0, 0.0), False), ((1e6, 0.0), True)):
        found = rule(name, min_tail=limits[0], error_below=limits[1], **size).requirement(account, market)
        assert any("independent observations" in text for text in checked(found).warnings) == thin
    with pytest.raises(ThinTailError):
        rule(name, min_tail=1e6, error_below=1e6, **size).requirement(account, market)


# -- collateral ---------------------------------------------------------------------------------------------
SNAP = MarketSnapshot.from_marks("2026-05-01T00:00:00Z", {"BTC": 60_000.0, "ETH": 3_000.0})
#: lowest and highest value, direction of the value that counts less the margin of what is owed
COLLATERAL: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "tier_haircuts": ({"tier_haircuts": (0.0,), "tier_limits": ()},
                      {"tier_haircuts": (1.0,), "tier_limits": ()}, -1),
    "tier_limits": ({"tier_haircuts": (0.0, 1.0), "tier_limits": (1e-6,)},
                    {"tier_haircuts": (0.0, 1.0), "tier_limits": (1e12,)}, 1),
    "tier_unit": ({"tier_unit": "USD", "tier_haircuts": (0.0, 1.0), "tier_limits": (20.0,)},
                  {"tier_unit": "coin", "tier_haircuts": (0.0, 1.0), "tier_limits": (20.0,)}, 1),
    "share_limit": ({"share_limit": 1e-6}, {"share_limit": 1.0}, 1),
    "borrow_im_rate": ({"borrow_mm_rate": 0.0, "borrow_im_rate": 0.0},
                       {"borrow_mm_rate": 0.0, "borrow_im_rate": 1.0}, -1),
    "borrow_mm_rate": ({"borrow_mm_rate": 0.0, "borrow_im_rate": 1.0},
                       {"borrow_mm_rate": 1.0, "borrow_im_rate": 1.0}, -1),
}  # fmt: skip


@pytest.mark.parametrize("key", COLLATERAL)
@pytest.mark.parametrize("terms", load_parameter_sets("collateral"), ids=lambda s: s.id)
def test_ends_of_collateral_terms(terms: ParameterSet, key: str) -> None:
    low, high, sign = COLLATERAL[key]
    coin = next(c for c in terms.tables if c not in ("USD", "USDC", "USDT"))
    plain = {"tier_haircuts": (0.05,), "tier_limits": (), "share_limit": 1.0}
    other = next(iter(terms.tables))
    books = ({coin: 50.0}, {coin: -21.0, **({other: 1e6} if other != coin else {})})
    got = []
    for values in (low, high):
        used = terms.with_values(coin, **{**plain, **values})
        found = [collateral_value(book, SNAP, used, prices={other: 1.0, coin: 100.0}) for book in books]
        numbers = [x.value - x.borrow_im - x.borrow_mm for x in found]
        assert all(map(math.isfinite, numbers))
        got.append(math.fsum(numbers))
    assert sign * (got[1] - got[0]) > 0.0


# -- all of them --------------------------------------------------------------------------------------------
OWN: dict[tuple[str, str], Ends] = {
    ("deribit-pm", "spm"): SPM,
    ("deribit-pm", "classic"): CLASSIC,
    ("deribit-pm", "xpm"): {**SPM, **CROSS},
    ("deribit-standard", "standard"): STANDARD,
    **{(name, "reference"): ends for name, ends in DERIVE.items()},
    **{(name, "base"): ends for name, ends in MEASURE.items()},
}
CASES = [(name, variant, key) for (name, variant), ends in OWN.items() for key in ends]


def checked(result: Any) -> MarginResult:
    """Return the result, its identities and its finiteness checked."""
    assert isinstance(result, MarginResult)
    result.check()
    assert math.isfinite(result.im) and math.isfinite(result.mm)
    return result


def total(name: str, variant: str, key: str, value: Any, market: MarketSnapshot, make: Make) -> float:
    if name.startswith("derive"):
        return derive_total(name, key, value)
    if name.startswith("deribit"):
        return deribit(name, None if variant == "standard" else variant, key, value, market, make)
    return measured_total(name, key, value, market, make)


@pytest.mark.parametrize(("name", "variant", "key"), CASES, ids=["-".join(c) for c in CASES])
def test_lowest_and_highest_value(
    name: str, variant: str, key: str, market: MarketSnapshot, make_account: Make
) -> None:
    low, high, sign = OWN[name, variant][key]
    first, last = (total(name, variant, key, value, market, make_account) for value in (low, high))
    assert first != last
    assert sign * (last - first) >= 0.0


# -- the other shipped sets of a rule -----------------------------------------------------------------------
OLDER = [
    *(s for name in VENUES for s in load_parameter_sets(name) if s.id != venues.SETS[name].id),
    *(s for name in DERIVE for s in load_parameter_sets(name) if s.variant == "mainnet"),
    *load_parameter_sets("tims")[1:],
]
ENDS_OF_RULES: dict[str, Mapping[str, Any]] = {**VENUES, **DERIVE, "tims": TIMS}
#: what else must hold so that a key shows under an older set
BESIDES: dict[str, dict[str, Any]] = {
    # the first borrowing caps bind before any threshold does
    "threshold_base": {"borrow_caps": {"USDC": 1e6}},
    "threshold_slope": {"borrow_caps": {"USDC": 1e6}},
    **WITH,
}
#: calendar of vegas in the unit of one stablecoin, for the charge of vega spans
MORE_BOOKS: dict[str, venues.Panel] = {
    "vega_span_points": (({"BTC-7d-60000-C-USDT": 10.0, "BTC-180d-60000-C-USDT": -10.0}, {"USDT": 1e5}),)
}
#: keys that an older set holds and cannot use
UNUSED = {
    ("okx-pm-2021-12", "depeg_bands"): "units of one stablecoin each hold no hedge between stablecoins",
    ("okx-pm-2024-05", "depeg_bands"): "likewise",
}


def older_total(one: ParameterSet, key: str, end: Any, venue: Any) -> float:
    """Return IM plus MM, less equity where that is the figure, over the panel of the set's rule."""
    base = dataclasses.replace(one, valid_from=datetime.date(2000, 1, 1), valid_to=None, last_observed=None)
    name = next(u for u in ("ETH", "*", *base.tables) if u in base.tables)
    value = end(base.table(name).model_dump()[key]) if callable(end) else end
    used = base.with_values(name, **{**BESIDES.get(key, {}), key: value})
    if one.rule in DERIVE:
        found = [
            derive.margin(one.rule, held, coins, feeds, iv, variant=one.variant, parameters=(used,))
            for held, coins, feeds, iv in derive.PANEL
        ]
        return math.fsum(x.im + x.mm for x in found)
    if one.rule == "tims":
        held = TIMS[key][4]
        options = {"with_minimum_equity": True} if key == "minimum_equity" else {}
        used = used.with_values(name, european=True)
        found_one = requirement("tims", 100.0, held, parameters=(used,), variant=one.variant, **options)
        scan = float(found_one.figures["groups"]["scan"].iloc[0])
        return scan if TIMS[key][2] == "scan" else found_one.im
    made, out = rule(one.rule, as_of=venues.AS_OF, variant=one.variant, parameters=(used,)), []
    for held_there, coins in (*venues.PANELS[one.rule], *MORE_BOOKS.get(key, ())):
        market = venue.market(held_there, fx=venues.PRICES)
        result = checked(made.requirement(venue.account(held_there, coins), market))
        scale = venue.spot["BTC"] if result.numeraire == "BTC" else 1.0
        out.append(scale * (result.im + result.mm - result.equity))
    return math.fsum(out)


@pytest.mark.slow
@pytest.mark.parametrize("one", OLDER, ids=lambda s: s.id)
def test_every_key_of_every_other_set_moves_a_case(one: ParameterSet, venue: Any) -> None:
    still = []
    for key, ends in ENDS_OF_RULES[one.rule].items():
        low, high = (older_total(one, key, end, venue) for end in ends[:2])
        sign = ends[3] if one.rule == "tims" else ends[2]
        assert math.isfinite(low) and math.isfinite(high)
        if (one.id, key) in UNUSED:
            assert low == high
        elif sign * (high - low) <= 0.0:
            still.append(key)
    assert still == []


#: keys without ends, and why
WITHOUT: dict[tuple[str, str], str] = {
    (
        "tims",
        "european",
    ): "a yes or no: without it options need values of the caller, as its own test shows",
    ("es-fhs", "response"): "the name of a table of coefficients, replaced by another one in its own test",
    ("var-hs", "response"): "as for es-fhs",
}


def test_no_key_of_any_rule_is_left_out() -> None:
    tables: dict[str, set[str]] = {
        "reg-t": set(REG_T), "simm": set(SIMM), "span": set(SPAN), "tims": {*TIMS, *TIMS_GROUPS},
        "collateral": set(COLLATERAL), "measure-design": {key.split(".")[0] for key in DESIGN_ENDS},
        **{name: set(ends) for name, ends in VENUES.items()},
    }  # fmt: skip
    limits = {"min_tail", "error_below"}
    seen = {
        SCHEMAS[name][variant]: set(ends) | (set(MEASURE_CHAIN) | limits if name in MEASURE else set())
        for (name, variant), ends in OWN.items()
    } | {SCHEMAS[name][variant]: keys for name, keys in tables.items() for variant in SCHEMAS[name]}
    for name, variants in SCHEMAS.items():
        for variant, schema in variants.items():
            missing = {k for k in schema.model_fields if k not in seen[schema] and (name, k) not in WITHOUT}
            assert not missing, f"{name} {variant}: {sorted(missing)}"
