"""The greeks against full revaluation: order of the error, what stays exact, and the gap that is shown."""

from __future__ import annotations

import math
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.random import stream
from pmkit.instruments import Option, Portfolio, Position
from pmkit.market import load_snapshot
from pmkit.pricing import greeks
from pmkit.risk import TAYLOR_TERMS, expected_shortfall, revaluation_gap, revalue, revalue_taylor
from pmkit.scenarios import Factor, ScenarioSet, TermScaling, grid
from tests.unit.risk.conftest import AS_OF, FAR, MONTH, future, option, random_scenarios
from tests.unit.risk.test_moved_factors import every_factor, one, rich

matplotlib.use("Agg")
OPTIONS = [
    option("BTC", e, k, c, s)
    for e, k, c, s in [
        (MONTH, 62_000.0, "C", "inverse"),
        (MONTH, 57_000.0, "P", "inverse"),
        (FAR, 60_000.0, "P", "linear"),
        (FAR, 70_000.0, "C", "linear"),
    ]
]


def scaled(size: float, dynamics: str) -> ScenarioSet:
    """Return moves of order ``size`` in spot, vol, skew and rate and ``size`` squared in time."""
    draws = stream(5, "small moves").normal(size=(40, 4))
    factors = (Factor("spot", "BTC"), Factor("vol", "BTC"), Factor("skew", "BTC"), Factor("rate", "USDC"))
    return ScenarioSet(
        name="small", factors=factors, shocks=draws * size * np.array([0.5, 1.0, 0.05, 0.1 * size]),
        horizon_days=100.0 * size**2, dynamics=dynamics,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("dynamics", ["sticky_strike", "sticky_moneyness", "sticky_delta"])
def test_error_is_of_third_order(dynamics: str) -> None:
    snapshot, errors = rich(), []
    for size in (0.08, 0.04, 0.02, 0.01):
        scen = scaled(size, dynamics)
        full, near = revalue(OPTIONS, snapshot, scen), revalue_taylor(OPTIONS, snapshot, scen)
        near.check()
        errors.append(np.abs(near.unit_usd - full.unit_usd).max(axis=1))
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert (np.abs(orders[-1] - 3.0) < 0.1).all(), orders
    assert (errors[-1] < 1.0).all()  # USD a contract, against profits of some hundred


@pytest.mark.parametrize(
    ("dropped", "order"), [("gamma", 2.0), ("vega", 1.0), ("vanna", 2.0), ("volga", 2.0), ("theta", 2.0)]
)
def test_every_term_is_needed(dropped: str, order: float) -> None:
    """Without one of its terms the error falls no faster than that term."""
    snapshot, errors = rich(), []
    kept = [t for t in TAYLOR_TERMS if t != dropped]
    for size in (0.00125, 0.000625):
        scen = scaled(size, "sticky_strike")
        full = revalue(OPTIONS, snapshot, scen).unit_usd
        errors.append(np.abs(revalue_taylor(OPTIONS, snapshot, scen, terms=kept).unit_usd - full).max())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_is_the_sum_of_the_greeks() -> None:
    call, snapshot = OPTIONS[0], rich()
    scen = grid([0.03], [0.1], 1.0, dynamics="sticky_strike", underlyings=["BTC"])
    found = revalue_taylor([call], snapshot, scen)
    assert isinstance(call, Option)
    F, iv, tau = snapshot.forward("BTC", MONTH), snapshot.iv(call), snapshot.tau(MONTH)
    g = greeks(F, call.strike, tau, iv, settlement="inverse")
    f = F * 1.03 * math.exp(-0.004 * (1 / 365) / tau) - F
    v = 0.1 * iv
    change = g.delta * f + g.gamma * f * f / 2 + g.vega * v + g.vanna * f * v + g.volga * v * v / 2
    change += g.theta / 365
    assert found.unit_coin[0, 0] == pytest.approx(change, rel=1e-9)
    worth = found.base_coin[0]
    assert found.unit_usd[0, 0] == pytest.approx((worth + change) * 61_800.0 - worth * 60_000.0, rel=1e-9)
    delta_only = revalue_taylor([call], snapshot, scen, terms=["delta"])
    assert delta_only.unit_coin[0, 0] == pytest.approx(g.delta * f, rel=1e-9)
    assert delta_only.provenance.id != found.provenance.id
    assert found.provenance.method == "risk.revalue_taylor"


def test_rho_follows_the_rate() -> None:
    linear = OPTIONS[2]
    scen = one({("spot", "BTC"): 0.0, ("rate", "USDC"): 1e-4})
    full, near = (f([linear], rich(), scen).unit_usd[0, 0] for f in (revalue, revalue_taylor))
    assert near == pytest.approx(full, rel=1e-4) and full < 0.0


def test_linear_contracts_and_settlements_stay_exact(instruments: list, snapshot: object) -> None:
    scen = random_scenarios("sticky_delta")
    full, near = (f(instruments, snapshot, scen) for f in (revalue, revalue_taylor))
    assert full.settled == near.settled and len(full.settled) == 7
    for row, instrument in enumerate(full.instruments):
        live = isinstance(instrument, Option) and instrument.name not in full.settled
        assert (full.unit_usd[row].tobytes() == near.unit_usd[row].tobytes()) is not live
    assert (near.base_usd == full.base_usd).all()


def test_no_move_no_profit() -> None:
    near = revalue_taylor(OPTIONS, rich(), grid([0.0], [0.0], dynamics="sticky_delta"))
    assert (near.unit_usd == 0.0).all()


@pytest.mark.parametrize(
    ("terms", "match"),
    [
        ((), "the terms"),
        (("delta", "delta"), "the terms"),
        (("delta", "speed"), "the term 'speed'"),
        ("delta,gamma", "the term 'delta,gamma'"),
    ],
)
def test_bad_terms(terms: object, match: str) -> None:
    with pytest.raises(ParameterError, match=match + r".*delta, gamma, vega"):
        revalue_taylor(OPTIONS, rich(), one({("spot", "BTC"): 0.0}), terms=terms)  # type: ignore[arg-type]


# -- the gap ------------------------------------------------------------------------------------------------
def short_straddle() -> Portfolio:
    lines = [("25SEP26-62000-C", -10.0), ("25SEP26-62000-P", -10.0)]
    records = [
        {"type": "position", "instrument": f"BTC-{n}", "qty": q, "as_of": "2026-08-01T17:58:04Z"}
        for n, q in lines
    ]
    return Portfolio.from_records(records)


def test_gap_on_an_account_grows_with_the_move() -> None:
    """On a short straddle the greeks of today miss little at 2 per cent and a third at 40 per cent."""
    chain, book = load_snapshot("deribit-btc-2026-08-01"), short_straddle()
    shares = []
    for move in (0.02, 0.1, 0.4):
        scen = grid([-move, move], dynamics="sticky_strike", vol_term=TermScaling(), underlyings=["BTC"])
        full, near = (f(book, chain, scen).account_pnl(book) for f in (revalue, revalue_taylor))
        gap = revaluation_gap(full, near, scen, level=0.6, method="greeks")
        gap.check()
        assert gap.max_error == gap.error[gap.worst_scenario]
        shares.append(abs(gap.max_error / full[gap.worst_scenario]))
    assert shares[0] < 0.02 < shares[1] < shares[2]
    assert shares[2] > 0.25


def test_gap_says_worst_scenario_and_tail() -> None:
    scen = ScenarioSet(
        name="three", factors=(Factor("spot", "BTC"),), shocks=np.array([[-0.2], [0.0], [0.2]]),
        horizon_days=0.0, dynamics="sticky_strike", weights=np.array([0.5, 0.25, 0.25]),
        labels=("down", "still", "up"),
    )  # fmt: skip
    full, near = np.array([-10.0, 0.0, 6.0]), np.array([-9.0, 0.5, 2.0])
    gap = revaluation_gap(full, near, scen, level=0.75, method="delta", unit="BTC")
    assert (gap.worst_scenario, gap.max_error) == (2, -4.0)
    assert gap.rms_error == pytest.approx(math.sqrt(0.5 * 1 + 0.25 * 0.25 + 0.25 * 16))
    assert (gap.es_full, gap.es_approximate, gap.es_error) == (10.0, 9.0, -1.0)
    assert gap.es_full == float(expected_shortfall(full, 0.75, scen.weights).value)
    assert gap.to_frame()["scenario"].tolist() == ["down", "still", "up"]
    assert gap.summary().loc["worst loss"].tolist() == [10.0, 9.0, -1.0, -0.1]
    assert "delta, BTC" in repr(gap) and gap.cite() == ("acerbi2002",)
    axes = gap.plot()
    assert axes.get_xlabel() == "profit by full revaluation, BTC"
    matplotlib.pyplot.close(axes.figure)
    with pytest.raises(PmkitError, match="expected shortfall 11 is not 10"):
        replace(gap, es_full=11.0).check()
    for wrong in (full[:2], np.array([1.0, np.nan, 2.0])):
        with pytest.raises(ParameterError, match=r"approximate profit has shape .*3 finite numbers"):
            revaluation_gap(full, wrong, scen)


def test_every_factor_reaches_the_greeks() -> None:
    """Moves of any kind go into the moves of forward, vol and rate; nothing of the set is forgotten."""
    scen = every_factor("sticky_delta", 0.0)
    held, errors = [*OPTIONS, future("BTC", None), future("BTC", FAR, "linear")], []
    book = Portfolio(
        positions=tuple(Position(instrument=i, qty=1.0) for i in held), as_of=pd.Timestamp(AS_OF)
    )
    for size in (0.02, 0.01):
        small = replace(scen, shocks=scen.shocks * size)
        full, near = (f(held, rich(), small).account_pnl(book) for f in (revalue, revalue_taylor))
        errors.append(float(np.abs(near - full).max() / np.abs(full).max()))
    assert errors[1] < 2e-4
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)
