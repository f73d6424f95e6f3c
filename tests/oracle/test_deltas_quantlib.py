"""Delta conventions against QuantLib's calculator."""

from __future__ import annotations

import pytest

from pmkit.surface import option_delta, strike_from_delta
from pmkit.surface.readouts.deltas import DeltaKind

ql = pytest.importorskip("QuantLib", reason="QuantLib is an oracle of the development environment")

KINDS: tuple[DeltaKind, ...] = ("spot", "forward", "pa_spot", "pa_forward")
QL_KINDS = dict(
    zip(
        KINDS,
        (ql.DeltaVolQuote.Spot, ql.DeltaVolQuote.Fwd, ql.DeltaVolQuote.PaSpot, ql.DeltaVolQuote.PaFwd),
        strict=True,
    )
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize(("sd", "size"), [(0.1180654, 0.15), (0.0887676, 0.45), (0.3, 0.25), (0.8, 0.1)])
def test_quantlib_agrees(kind: DeltaKind, is_call: bool, sd: float, size: float) -> None:
    spot, df_domestic, df_foreign = 1.421, 0.97, 0.95
    forward = spot * df_foreign / df_domestic
    side = ql.Option.Call if is_call else ql.Option.Put
    oracle = ql.BlackDeltaCalculator(side, QL_KINDS[kind], spot, df_domestic, df_foreign, sd)
    signed = size if is_call else -size
    arguments = {"kind": kind, "is_call": is_call, "df_foreign": df_foreign}
    strike = strike_from_delta(signed, forward, 1.0, sd, **arguments)
    # QuantLib stops its search for premium-adjusted calls at a tolerance of its own, and its inverse of the
    # normal distribution has nine digits
    assert strike == pytest.approx(oracle.strikeFromDelta(signed), rel=1e-4 if "pa" in kind else 1e-8)
    for K in (0.8 * forward, forward, 1.3 * forward):
        found = option_delta(forward, K, 1.0, sd, **arguments)
        assert found == pytest.approx(oracle.deltaFromStrike(K), rel=1e-9, abs=1e-14)
    assert option_delta(forward, strike, 1.0, sd, **arguments) == pytest.approx(signed, abs=1e-14)
