"""Every parameter of the venues' rules at its lowest and highest sensible value, and on the way between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pmkit.margin import rule
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.schemas import SCHEMAS

Panel = tuple[tuple[dict[str, float], dict[str, float]], ...]
#: on which every set is in force
AS_OF = "2026-05-01"
PRICES = {"USDT": 0.97, "HYPE": 25.0}

PANELS: dict[str, Panel] = {
    "okx-pm": (
        ({"BTC-30d-60000-C-USDT": -10.0, "BTC-PERP-USDT": 3.0, "BTC-180d-70000-C-USD": 4.0}, {"USDT": 1e4}),
        ({"BTC-7d-60000-C-USDC": 10.0, "BTC-7d-60000-P-USDT": 10.0}, {}),
        ({"BTC-180d-60000-C-USDT": 10.0, "BTC-180d-60000-P-USD": 10.0}, {"BTC": 1.0}),
        ({"BTC-180d-60000-C-USDT": -10.0, "BTC-180d-60000-P-USDT": -10.0}, {}),
        ({"BTC-7d-60000-C-USDT": -10.0, "BTC-7d-60000-P-USDT": -10.0}, {}),
        ({"BTC-PERP-USDT": 2_000.0, "BTC-30d-USDT": -2_000.0}, {"USDT": 1e6}),
        ({"BTC-PERP-USDT": 200.0, "BTC-PERP-USD": -200.0 * 600.0}, {}),
        ({"BTC-180d-USDT": 5.0, "LTC-PERP-USDT": 50.0}, {"USDT": -50_000.0, "BTC": 3.0}),
        ({"BTC-PERP-USDT": -2.0}, {"BTC": 3.0}),
        ({"BTC-180d-120000-C-USDT": 100.0, "BTC-180d-USDT": -10.0}, {}),
        ({"BTC-30d-110000-C-USDT": -100.0}, {}),
        ({"BTC-180d-60000-C-USDT": -10.0, "BTC-180d-60000-P-USDT": 10.0, "BTC-180d-USDT": 10.0}, {}),
    ),
    "okx-standard": (
        ({"BTC-30d-60000-C-USD": -1.0, "BTC-30d-90000-C-USD": -1.0}, {}),
        ({"BTC-30d-40000-P-USD": -1.0, "BTC-30d-58000-P-USD": 1.0}, {}),
    ),
    "okx-standard-usd": (
        ({"BTC-30d-60000-C-USDT": -1.0, "BTC-30d-90000-C-USDC": -1.0}, {}),
        ({"BTC-30d-40000-P-USDT": -1.0, "BTC-30d-58000-P-USDT": 1.0}, {}),
    ),
    "paradex-pm": (
        ({"BTC-7d-60000-C-USDC": -1.0, "BTC-7d-60000-P-USDC": -1.0}, {}),
        ({"BTC-180d-60000-C-USDC": -1.0, "BTC-180d-60000-P-USDC": -1.0}, {}),
        ({"BTC-7d-60000-C-USDC": 1.0, "BTC-7d-60000-P-USDC": 1.0}, {}),
        ({"BTC-30d-90000-C-USDC": -1.0}, {}),
        ({"BTC-PERP-USDC": 2.0, "ETH-PERP-USDC": -1.0}, {"USDC": 1_000.0}),
        ({"BTC-30d-60000-C-USDC": 1.0, "BTC-30d-60000-P-USDC": -1.0, "BTC-PERP-USDC": -1.0}, {}),
        ({"BTC-30d-10000-C-USDC": 1.0, "BTC-PERP-USDC": -0.99}, {}),
    ),
    "hyperliquid-pm": (
        ({"BTC-PERP-USDC": -1.0, "ETH-PERP-USDC": 20.0}, {"BTC": 1.0, "USDC": -20_000.0}),
        ({}, {"HYPE": 1_000.0, "USDC": -5_000.0}),
        ({"BTC-PERP-USDC": 1.0}, {"USDC": 30_000.0}),
    ),
    "leverage-brackets": (
        ({"BTC-PERP-USDT": 0.5}, {"USDT": 1_000.0}),
        ({"BTC-PERP-USDT": -50.0, "ETH-PERP-USDT": 10.0}, {}),
    ),
}  # fmt: skip
VARIANTS = {
    "okx-pm": "unified", "okx-standard": "coin", "okx-standard-usd": "usd", "paradex-pm": "funding",
    "hyperliquid-pm": "alpha",
    "leverage-brackets": "illustrative",
}  # fmt: skip
SETS = {name: [s for s in load_parameter_sets(name) if s.variant == VARIANTS[name]][-1] for name in PANELS}


def rates(value: float) -> Callable[[Any], Any]:
    """Give every group one rate."""
    return lambda groups: [{**g, "rate": value} for g in groups]


def moves(*values: float) -> Callable[[Any], Any]:
    return lambda groups: [{**g, "moves": values} for g in groups]


def factors(times: float) -> Callable[[Any], Any]:
    return lambda groups: [{**g, "factors": [times * f for f in g["factors"]]} for g in groups]


def tokens(**values: float) -> Callable[[Any], Any]:
    return lambda found: {name: {**terms, **values} for name, terms in found.items()}


def rows(times: float) -> Callable[[Any], Any]:
    """Scale the maintenance rates of brackets, and the leverages the other way."""

    def scaled(groups: Any) -> Any:
        return [
            {**g, "rows": [
                {**r, "maintenance_rate": r["maintenance_rate"] * times,
                 "max_leverage": min(max(r["max_leverage"] / times, 1.0), 1000.0)} for r in g["rows"]
            ]}
            for g in groups
        ]  # fmt: skip

    return scaled


def weights(times: float) -> Callable[[Any], Any]:
    return lambda scenarios: [(m, word, times * w) for m, word, w in scenarios]


#: lowest and highest sensible value by key, and whether the requirement rises (+1) or falls (-1) between them
ENDS: dict[str, dict[str, tuple[Any, Any, int]]] = {
    "okx-pm": {
        "merged_units": (False, True, -1),
        "spot_offset": (False, True, -1),
        "spot_moves": (moves(0.01, 0.02, 0.03), moves(0.2, 0.4, 0.6), 1),
        "volatility_range_up": (0.01, 5.0, 1),
        "volatility_range_down": (0.0, 1.0, 1),
        "short_term_vega_power": (0.0, 2.0, 1),
        "long_term_vega_power": (0.0, 2.0, -1),
        "vega_reference_days": (1.0, 365.0, 1),
        "vega_floor_days": (0.01, 30.0, -1),
        "theta_days": (0.0, 30.0, 1),
        "vega_span_points": (0.0, 100.0, 1),
        "basis_annual": (rates(0.0), rates(10.0), 1),
        "basis_minimum": (rates(0.0), rates(1.0), 1),
        "rate_shock": (0.0, 1.0, 1),
        "extreme_moves": (rates(0.0), rates(0.95), 1),
        "extreme_share": (0.0, 1.0, 1),
        "minimum_rate": (rates(0.0), rates(1.0), 1),
        "minimum_tiers": (factors(0.0), factors(50.0), 1),
        "depeg_bands": (factors(0.0), factors(2.0), 1),
        "borrow_mm_rate": (0.0, 0.1, 1),
        "borrow_im_rate": (0.02, 1.0, 1),
        "im_factor": (1.0, 100.0, 1),
        "collateral_rate": (rates(0.0), rates(1.0), -1),
    },
    "okx-standard": {
        "im_floor": (0.05, 0.15, 1),
        "im_rate": (0.10, 1.0, 1),
        "mm_rate": (0.0, 0.10, 1),
        "margin_factor": (1.0, 100.0, 1),
    },
    "okx-standard-usd": {
        "im_floor": (0.05, 0.15, 1),
        "im_rate": (0.10, 1.0, 1),
        "mm_rate": (0.0, 0.10, 1),
        "margin_factor": (1.0, 100.0, 1),
    },
    "paradex-pm": {
        "scenarios": (weights(0.0), weights(10.0), 1),
        "volatility_range_up": (0.0, 100.0, 1),
        "volatility_range_down": (0.0, 1.0, 1),
        "short_term_vega_power": (0.0, 2.0, 1),
        "long_term_vega_power": (0.0, 2.0, -1),
        "vega_reference_days": (1.0, 365.0, 1),
        "vega_floor_days": (0.01, 30.0, -1),
        "net_delta_rate": (0.0, 1.0, 1),
        "hedged_delta_rate": (0.0, 1.0, 1),
        "fee_rate": (0.0, 1.0, 1),
        "funding_hours": (0.0, 168.0, 1),
        "mm_factor": (0.01, 1.0, 1),
    },
    "hyperliquid-pm": {
        "liquidation_ratio": (0.01, 1.0, -1),
        "min_borrow_offset": (0.0, 1e6, 1),
        "threshold_base": (0.0, 0.5, -1),
        "threshold_slope": (0.0, 0.5, -1),
        "borrow_caps": ({"USDC": 1e-9}, {"USDC": 1e15}, -1),
        "collateral": (tokens(ltv=0.0, supply_cap=1e-9), tokens(ltv=1.0, supply_cap=1e12), -1),
        "brackets": (rows(0.01), rows(5.0), 1),
    },
    "leverage-brackets": {"brackets": (rows(0.01), rows(10.0), 1)},
}  # fmt: skip


def total(name: str, parameters: ParameterSet, venue: Any) -> float:
    """Return IM plus MM less equity, summed over the panel; every identity checked."""
    made = rule(name, as_of=AS_OF, variant=VARIANTS[name], stale="warn", parameters=(parameters,))
    out = 0.0
    for held, collateral in PANELS[name]:
        result = made.requirement(venue.account(held, collateral), venue.market(held, fx=PRICES))
        result.check()
        scale = venue.spot["BTC"] if result.numeraire == "BTC" else 1.0
        out += scale * (result.im + result.mm - result.equity)
    return out


@pytest.mark.parametrize("name", PANELS)
def test_every_parameter_has_its_ends(name: str) -> None:
    assert set(ENDS[name]) == set(SCHEMAS[name][VARIANTS[name]].model_fields)


KEYS = [(name, key) for name, keys in ENDS.items() for key in keys]


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.StaleParametersWarning")
@pytest.mark.parametrize(("name", "key"), KEYS, ids=[f"{n}-{k}" for n, k in KEYS])
def test_lowest_and_highest_value(name: str, key: str, venue: Any) -> None:
    base = SETS[name]
    underlying = next(iter(base.tables))
    value = base.table(underlying).model_dump()[key]
    low, high, sign = ENDS[name][key]
    ends = [end(value) if callable(end) else end for end in (low, high)]
    first, last = (total(name, base.with_values(underlying, **{key: end}), venue) for end in ends)
    middle = total(name, base, venue)
    assert sign * (last - first) > 0.0
    assert min(first, last) - 1e-6 <= middle <= max(first, last) + 1e-6


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.StaleParametersWarning")
@pytest.mark.parametrize("name", [n for n in PANELS if n != "okx-standard"])
def test_an_account_of_cash_alone(name: str, venue: Any) -> None:
    made = rule(name, as_of=AS_OF, variant=VARIANTS[name], stale="warn")
    result = made.requirement(venue.account({}, {"USDC": 1_000.0}), venue.market())
    result.check()
    assert result.equity == 1_000.0
    # an offset and the haircut of a ratio are charged without a position, nothing else is
    assert result.im == result.mm == (pytest.approx(70.0) if name == "hyperliquid-pm" else 0.0)
    assert result.explain()["value"].notna().all()
    owing = made.requirement(venue.account({}, {"USDC": -500.0}), venue.market())
    assert owing.equity == -500.0
    assert owing.status == ("insolvent" if owing.im > 0.0 else "below_mm")
