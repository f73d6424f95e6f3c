"""Published figures of Paradex: the scenario table and the example of the least requirement; own cases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.margin import rule
from pmkit.margin.conformance.contracts import account_of
from pmkit.margin.parameters import load_parameter_sets, select
from pmkit.margin.rules.paradex_pm import minimum_delta
from pmkit.market.snapshot import MarketSnapshot

AS_OF = "2026-02-01T08:00:00Z"
EXPIRY = "2026-03-03T08:00:00Z"  # 30 days
SPOT = 70_000.0


def linear(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "underlying": "BTC", "settlement": "linear",
        "settlement_currency": "USDC", "multiplier": 1.0, **more,
    }  # fmt: skip


PERPETUAL = linear("BTC-USD-PERP", "perpetual")


def call(strike: float) -> dict[str, Any]:
    return linear(f"BTC-USD-{strike:g}-C", "option", expiry=EXPIRY, strike=strike, is_call=True)


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def plain_call(forward: float, strike: float, tau: float, iv: float) -> float:
    width = iv * math.sqrt(tau)
    d1 = math.log(forward / strike) / width + width / 2.0
    return forward * normal(d1) - strike * normal(d1 - width)


def strike_of_delta(delta: float, forward: float, tau: float, iv: float) -> float:
    """Return the strike at which a call has a delta, by halving."""
    low, high, width = 0.1 * forward, 10.0 * forward, iv * math.sqrt(tau)
    for _ in range(200):
        middle = (low + high) / 2.0
        above = normal(math.log(forward / middle) / width + width / 2.0) > delta
        low, high = (middle, high) if above else (low, middle)
    return (low + high) / 2.0


def test_scenario_table() -> None:
    for variant in ("funding", "fee"):
        rows = select("paradex-pm", "2026-02-01", variant).table("BTC").scenarios
        assert len(rows) == 24
        assert [r for r in rows if r[2] == 1.0] == list(rows[:16])
        assert [r[0] for r in rows[:16]] == sorted((r[0] for r in rows[:16]), reverse=True)
        assert {(m, w) for m, _, w in rows[16:]} == {
            (-0.66, 0.24), (-0.33, 0.48), (0.5, 0.32), (1.0, 0.16), (2.0, 0.08), (3.0, 0.0533), (4.0, 0.04),
            (5.0, 0.032),
        }  # fmt: skip
        # the weights are 16 % over the move, as printed with two figures
        assert all(abs(w * abs(m) - 0.16) <= 0.0016 for m, _, w in rows[16:])
        assert {word for _, word, _ in rows[16:]} == {"up"}


def test_example_of_the_least_requirement() -> None:
    """Long one perpetual, short five calls of delta 0.3 at 70 000: 1 400 USD."""
    table = select("paradex-pm", "2026-02-01", "funding").table("BTC")
    assert minimum_delta(np.array([1.0, -5.0 * 0.3]), SPOT, table) == 1400.0
    tau, iv = 30.0 / 365.0, 0.5
    strike = strike_of_delta(0.3, SPOT, tau, iv)
    record = {
        "as_of": AS_OF,
        "contracts": [PERPETUAL, call(strike)],
        "account": [
            {"type": "position", "instrument": PERPETUAL["name"], "qty": 1.0},
            {"type": "position", "instrument": call(strike)["name"], "qty": -5.0},
        ],
    }
    snapshot = MarketSnapshot.from_marks(
        AS_OF, {"BTC": SPOT}, forwards={"BTC": {EXPIRY: SPOT}}, option_iv={call(strike)["name"]: iv}
    )
    result = rule("paradex-pm", variant="fee").requirement(account_of(record, "example"), snapshot)
    assert result.figures["underlyings"].loc["BTC", "minimum delta"] == pytest.approx(1400.0, abs=1e-8)


def test_short_calls_against_a_plain_calculation() -> None:
    tau, iv, strike, qty = 30.0 / 365.0, 0.6, 80_000.0, -3.0
    now = plain_call(SPOT, strike, tau, iv)
    worst, name = 0.0, ""
    # at 30 days the shocks have their size of the table
    for move, word, weight in select("paradex-pm", "2026-02-01", "fee").table("BTC").scenarios:
        shocked = iv * (1.4 if word == "up" else 0.78)
        pnl = weight * qty * (plain_call(SPOT * (1.0 + move), strike, tau, shocked) - now)
        if pnl < worst:
            worst, name = pnl, f"{100 * move:+g}%, vol {word}"
    width = iv * math.sqrt(tau)
    delta = qty * normal(math.log(SPOT / strike) / width + width / 2.0)
    core = max(-worst, 0.02 * abs(delta) * SPOT)
    fee = 0.0003 * abs(qty) * SPOT
    record = {
        "as_of": AS_OF,
        "contracts": [call(strike)],
        "account": [{"type": "position", "instrument": call(strike)["name"], "qty": qty}],
    }
    snapshot = MarketSnapshot.from_marks(
        AS_OF, {"BTC": SPOT}, forwards={"BTC": {EXPIRY: SPOT}}, option_iv={call(strike)["name"]: iv}
    )
    result = rule("paradex-pm", variant="fee").requirement(account_of(record, "short calls"), snapshot)
    assert result.worst_scenario.name == name
    assert result.worst_scenario.pnl == pytest.approx(worst, rel=1e-11)
    assert result.im == pytest.approx(core + fee, rel=1e-11)
    assert result.mm == pytest.approx(0.5 * core + fee, rel=1e-11)
    assert result.equity == pytest.approx(qty * now, rel=1e-11)


def test_dates_of_both_texts() -> None:
    days = {s.variant: (s.valid_from, s.dates_status) for s in load_parameter_sets("paradex-pm")}
    day = pd.Timestamp("2026-02-01").date()
    assert days == {"funding": (day, "assumed"), "fee": (day, "assumed")}
