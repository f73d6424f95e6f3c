"""Delta conventions and the strikes they stand for, against prices and against themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.pricing import black76_inverse
from pmkit.surface import RawSvi, option_delta, strike_from_delta, strike_of_delta
from pmkit.surface.readouts.deltas import DeltaKind
from tests.unit.surface.readout_cases import NEAR, known

KINDS: tuple[DeltaKind, ...] = ("spot", "forward", "pa_spot", "pa_forward")


@settings(max_examples=100)
@given(st.sampled_from(KINDS), st.booleans(), st.floats(0.01, 0.6), st.floats(0.02, 1.2), st.floats(0.8, 1.0))
def test_strike_and_delta_are_inverse(
    kind: DeltaKind, is_call: bool, size: float, sd: float, df: float
) -> None:
    signed = size if is_call else -size
    arguments = {"kind": kind, "is_call": is_call, "df_foreign": df}
    try:
        strike = strike_from_delta(signed, 100.0, 1.0, sd, **arguments)
    except ParameterError as error:
        assert is_call and kind.startswith("pa_") and "not monotone" in str(error)
        return
    assert option_delta(100.0, strike, 1.0, sd, **arguments) == pytest.approx(signed, rel=1e-12)
    wider = 1.02 if is_call else 1.0 / 1.02
    assert abs(option_delta(100.0, strike * wider, 1.0, sd, **arguments)) < size


def test_trap_13_premium_adjusted_call_delta_is_not_monotone() -> None:
    F, tau, iv = 60_000.0, 30 / 365, 0.55
    strikes = F * np.linspace(0.4, 1.4, 2001)
    size = option_delta(F, strikes, tau, iv, kind="pa_forward")
    top = int(np.argmax(size))
    assert 0 < top < 2000 and float(size[top]) == pytest.approx(0.728, abs=5e-4)
    assert strikes[top] / F == pytest.approx(0.789, abs=1e-3)
    # two strikes have the delta 0.7: the answer is the one right of the maximum
    right = strike_from_delta(0.7, F, tau, iv, kind="pa_forward")
    assert right > strikes[top] and option_delta(F, right, tau, iv, kind="pa_forward") == pytest.approx(
        0.7, abs=1e-14
    )
    left = strikes[np.argmin(np.abs(size[:top] - 0.7))]
    assert left < strikes[top] and option_delta(F, left, tau, iv, kind="pa_forward") == pytest.approx(
        0.7, abs=1e-3
    )
    with pytest.raises(ParameterError, match=r"expected at most 0\.728.*not monotone in the strike"):
        strike_from_delta(0.73, F, tau, iv, kind="pa_forward")
    for smile_size in (0.6, 0.7):
        found = strike_of_delta(lambda k: 0.0 * k + iv**2 * tau, smile_size, kind="pa_forward", forward=F)
        assert found == pytest.approx(strike_from_delta(smile_size, F, tau, iv, kind="pa_forward"), rel=1e-12)


def test_the_coin_price_has_the_premium_adjusted_forward_delta() -> None:
    F, h = 60_000.0, 1.0
    for K in (45_000.0, 60_000.0, 90_000.0):
        for is_call in (True, False):
            up, down = (black76_inverse(F + s * h, K, 0.2, 0.7, is_call) for s in (1, -1))
            by_difference = F * (up - down) / (2 * h)
            assert option_delta(F, K, 0.2, 0.7, kind="pa_forward", is_call=is_call) == pytest.approx(
                by_difference, abs=1e-8
            )


def test_parity_of_deltas() -> None:
    K = np.array([80.0, 100.0, 130.0])
    for kind, gap in (
        ("forward", 1.0),
        ("pa_forward", K / 100.0),
        ("spot", 0.9),
        ("pa_spot", 0.9 * K / 100.0),
    ):
        sides = [
            option_delta(100.0, K, 0.5, 0.6, kind=kind, is_call=side, df_foreign=0.9)
            for side in (True, False)
        ]
        assert sides[0] - sides[1] == pytest.approx(gap, rel=1e-14)


def test_strikes_on_a_smile_have_their_delta_at_their_own_vol() -> None:
    tau = 30 / 365
    for kind in KINDS:
        for signed in (0.1, 0.25, 0.5, -0.5, -0.25, -0.1):
            strike = strike_of_delta(NEAR, signed, kind=kind, df_foreign=0.98)
            iv = math.sqrt(float(NEAR.w(math.log(strike))) / tau)
            found = option_delta(1.0, strike, tau, iv, kind=kind, is_call=signed > 0, df_foreign=0.98)
            assert found == pytest.approx(signed, rel=1e-12)
    at = strike_of_delta(known(), 0.25, kind="pa_forward", tau=60 / 365, forward=100.0)
    assert 100.0 < at < 140.0


def test_arrays_and_missing_values() -> None:
    found = strike_from_delta(
        [0.25, -0.25, np.nan], 100.0, 0.5, 0.6, kind="forward", is_call=[True, False, True]
    )
    assert found[0] > 100.0 > found[1] and np.isnan(found[2])
    assert isinstance(strike_from_delta(0.25, 100.0, 0.5, 0.6, kind="pa_forward"), float)


def test_bad_input() -> None:
    for kind in ("spot", "pa_spot"):
        with pytest.raises(ParameterError, match=f"no df_foreign for a delta of the kind '{kind}'"):
            option_delta(100.0, 100.0, 0.5, 0.6, kind=kind)
        with pytest.raises(ParameterError, match="without which a spot delta is a forward delta"):
            strike_of_delta(NEAR, 0.25, kind=kind)
    with pytest.raises(ParameterError, match="delta kind is 'premium'"):
        option_delta(100.0, 100.0, 0.5, 0.6, kind="premium")  # type: ignore[arg-type]
    for bad in ({"F": 0.0}, {"K": -1.0}, {"tau": 0.0}, {"iv": -0.5}, {"iv": math.inf}, {"df_foreign": 0.0}):
        given_ = {"F": 100.0, "K": 100.0, "tau": 0.5, "iv": 0.6} | bad
        with pytest.raises(ParameterError, match=f"{next(iter(bad))} is"):
            option_delta(**({"df_foreign": 1.0} | given_), kind="spot")
    with pytest.raises(ParameterError, match=r"delta of a put is 0\.25"):
        strike_from_delta(0.25, 100.0, 0.5, 0.6, kind="forward", is_call=False)
    with pytest.raises(ParameterError, match="delta of a call is -25"):
        strike_from_delta(-25.0, 100.0, 0.5, 0.6, kind="forward")
    with pytest.raises(
        ParameterError, match=r"spot delta 0\.95 with df_foreign 0\.9; expected less than 0\.9"
    ):
        strike_from_delta(0.95, 100.0, 0.5, 0.6, kind="spot", df_foreign=0.9)
    with pytest.raises(ParameterError, match="forward is 0"):
        strike_of_delta(NEAR, 0.25, kind="forward", forward=0.0)
    with pytest.raises(ParameterError, match="df_foreign is nan"):
        strike_of_delta(NEAR, 0.25, kind="spot", df_foreign=math.nan)
    for beyond in (1.0, -1.0, 1.2):
        # only a strike of 0 or infinity has it: rounding alone would answer
        with pytest.raises(ParameterError, match="less than 1 in size"):
            strike_of_delta(NEAR, beyond, kind="forward")
    with pytest.raises(ParameterError, match="at most"):
        strike_of_delta(NEAR, 0.95, kind="pa_forward")
    with pytest.raises(ParameterError, match="the wing is too steep"):
        # on a wing of slope 2 and more the delta of a call does not fall to zero
        strike_of_delta(RawSvi(a=0.0, b=2.0, rho=0.9, m=0.0, sigma=0.1), 0.2, kind="forward")
