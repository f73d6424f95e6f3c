"""A smile in the words of a trader, and the broker's strangle."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.pricing import black76, greeks
from pmkit.surface import (
    RawSvi,
    broker_strangle,
    delta_quotes,
    market_butterfly,
    option_delta,
)
from tests.unit.surface.readout_cases import NEAR, known

TAU = 30 / 365


def smile(K: float) -> float:
    return math.sqrt(float(NEAR.w(math.log(K))) / TAU)


@pytest.mark.parametrize("kind", ["spot", "forward", "pa_spot", "pa_forward"])
def test_quotes_by_delta(kind: str) -> None:
    found = delta_quotes(NEAR, 0.25, kind=kind, tau=TAU, df_foreign=0.99)  # type: ignore[arg-type]
    assert found.call == pytest.approx(smile(found.call_strike), rel=1e-12)
    assert found.put == pytest.approx(smile(found.put_strike), rel=1e-12)
    assert found.risk_reversal == found.call - found.put
    assert found.butterfly == 0.5 * (found.call + found.put) - found.atm
    straddle = sum(
        option_delta(1.0, found.atm_strike, TAU, found.atm, kind=kind, is_call=side, df_foreign=0.99)  # type: ignore[arg-type]
        for side in (True, False)
    )
    assert straddle == pytest.approx(0.0, abs=1e-12)
    side = -0.5 if kind.startswith("pa_") else 0.5
    assert math.log(found.atm_strike) == pytest.approx(side * found.atm**2 * TAU, rel=1e-12)


def test_kinds_of_at_the_money() -> None:
    forward = delta_quotes(NEAR, kind="pa_forward", atm="forward", tau=TAU, forward=100.0)
    assert forward.atm_strike == 100.0 and forward.atm == pytest.approx(smile(1.0), rel=1e-14)
    spot = delta_quotes(NEAR, kind="forward", atm="spot", tau=TAU, forward=100.0, spot=98.0)
    assert spot.atm_strike == pytest.approx(98.0, rel=1e-14) and spot.atm == pytest.approx(
        smile(0.98), rel=1e-12
    )
    assert list(spot.summary().columns)[:2] == ["kind", "atm_kind"]


def test_the_kind_matters_and_is_named() -> None:
    adjusted = delta_quotes(NEAR, kind="pa_forward", tau=TAU)
    plain = delta_quotes(NEAR, kind="forward", tau=TAU)
    assert abs(adjusted.risk_reversal - plain.risk_reversal) > 1e-3
    assert adjusted.kind == "pa_forward" and adjusted.summary()["kind"].tolist() == ["pa_forward"]
    with pytest.raises(TypeError, match="kind"):
        delta_quotes(NEAR, 0.25, tau=TAU)  # type: ignore[call-arg]


def test_a_flat_smile_has_neither() -> None:
    flat = RawSvi(a=0.36 * TAU, b=0.0, rho=0.0, m=0.0, sigma=1.0)
    found = delta_quotes(flat, kind="pa_forward", tau=TAU)
    assert found.atm == pytest.approx(0.6, rel=1e-14)
    assert abs(found.risk_reversal) < 1e-14 and abs(found.butterfly) < 1e-14
    butterfly, one = market_butterfly(flat, kind="pa_forward", tau=TAU)
    assert abs(butterfly) < 1e-9 and one.iv == pytest.approx(0.6, abs=1e-9)


def test_the_market_butterfly_matches_the_sum_of_prices() -> None:
    butterfly, one = market_butterfly(NEAR, kind="pa_forward", tau=TAU)
    on_smile = float(black76(1.0, one.put_strike, TAU, smile(one.put_strike), is_call=False)) + float(
        black76(1.0, one.call_strike, TAU, smile(one.call_strike))
    )
    assert one.value == pytest.approx(on_smile, rel=1e-12)
    quotes = delta_quotes(NEAR, kind="pa_forward", tau=TAU)
    assert one.iv - quotes.atm == pytest.approx(butterfly, abs=1e-15)
    # with a risk reversal of eight points the two butterflies are different numbers
    assert abs(quotes.risk_reversal) > 0.05 and abs(butterfly - quotes.butterfly) > 1e-3
    symmetric = RawSvi(a=0.02, b=0.01, rho=0.0, m=0.0, sigma=0.15)
    near_zero, _ = market_butterfly(symmetric, kind="forward", tau=TAU)
    assert near_zero == pytest.approx(delta_quotes(symmetric, kind="forward", tau=TAU).butterfly, abs=2e-5)


def test_trap_24_vega_of_the_strangle_is_per_unit_of_vol_not_per_point() -> None:
    one, bump = broker_strangle(100.0, 0.5, 0.55, 0.01, kind="pa_forward"), 1e-6
    strikes, sides = np.array([one.put_strike, one.call_strike]), np.array([False, True])
    moved = sum(
        float(black76(100.0, k, 0.5, one.iv + bump, is_call=bool(c)))
        for k, c in zip(strikes, sides, strict=True)
    )
    vega = float(np.sum(greeks(100.0, strikes, 0.5, one.iv, is_call=sides).vega))
    assert (moved - one.value) / bump == pytest.approx(vega, rel=1e-5)
    assert (moved - one.value) / (100.0 * bump) != pytest.approx(vega, rel=0.5)


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="delta is -0"):
        delta_quotes(NEAR, -0.25, kind="forward", tau=TAU)
    with pytest.raises(ParameterError, match="delta is nan"):
        delta_quotes(NEAR, math.nan, kind="forward", tau=TAU)
    with pytest.raises(ParameterError, match="tau is None"):
        delta_quotes(NEAR, kind="forward")
    with pytest.raises(ParameterError, match="delta kind is 'fwd'"):
        delta_quotes(NEAR, kind="fwd", tau=TAU)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="atm is 'dns'"):
        delta_quotes(NEAR, kind="forward", atm="dns", tau=TAU)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="spot is None"):
        delta_quotes(NEAR, kind="forward", atm="spot", tau=TAU)
    with pytest.raises(ParameterError, match="forward is -1"):
        delta_quotes(NEAR, kind="forward", tau=TAU, forward=-1.0)
    with pytest.raises(ParameterError, match="iv is"):
        broker_strangle(100.0, 0.5, 0.1, -0.2, kind="forward")
    with pytest.raises(DataGapError, match="beyond the last expiry"):
        delta_quotes(known(), kind="pa_forward", tau=3.0)
