"""The grid interpolator: exact on its nodes, close between them, and honest about what it has no axis for."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.random import stream
from pmkit.instruments import Instrument, Portfolio, Position
from pmkit.market import MarketSnapshot, load_snapshot
from pmkit.risk import revaluation_gap, revalue, revalue_grid
from pmkit.scenarios import Factor, ScenarioSet, TermScaling, grid
from tests.unit.risk.conftest import AS_OF, FAR, MONTH, SPOT, future, option, random_scenarios
from tests.unit.risk.test_moved_factors import one, rich
from tests.unit.risk.test_taylor import short_straddle

matplotlib.use("Agg")


def book_of(*lines: tuple[Instrument, float]) -> Portfolio:
    return Portfolio(
        positions=tuple(Position(instrument=i, qty=q) for i, q in lines), as_of=pd.Timestamp(AS_OF)
    )


def fat_tailed(n: int, dynamics: str = "sticky_strike", unit: str = "log", **options: object) -> ScenarioSet:
    """Return simulated t(4) moves of spot with lognormal vol, bounded so that both units can say them."""
    draws = stream(4, "fat tails")
    factors, columns = [], []
    for name in SPOT:
        factors += [Factor("spot", name), Factor("vol", name)]
        columns += [0.03 * draws.standard_t(4, n), 0.1 * draws.standard_normal(n)]
    return ScenarioSet(
        name="t(4), simulated", factors=tuple(factors), shocks=np.clip(np.column_stack(columns), -0.6, 0.6),
        horizon_days=1.0, dynamics=dynamics, spot_unit=unit, vol_unit=unit,  # type: ignore[arg-type]
        vol_term=TermScaling(short_power=0.3, long_power=0.13), **options,  # type: ignore[arg-type]
    )  # fmt: skip


MIXED = book_of(
    (option("BTC", MONTH, 62_000.0, "C"), -3.0),
    (option("BTC", FAR, 50_000.0, "P", "linear"), 25.0),
    (option("ETH", MONTH, 2_800.0, "P"), -40.0),
    (future("BTC", None), 2_000.0),
    (future("BTC", FAR, "linear"), -3.0),
)


@pytest.mark.parametrize("unit", ["log", "relative"])
@pytest.mark.parametrize("dynamics", ["sticky_strike", "sticky_moneyness", "sticky_delta"])
def test_close_to_full_revaluation(dynamics: str, unit: str) -> None:
    snapshot, scen = rich(), fat_tailed(3_000, dynamics, unit)
    full = revalue(MIXED, snapshot, scen)
    found = revalue_grid(MIXED, snapshot, scen, nodes=(48, 12))
    found.check()
    gap = revaluation_gap(full.account_pnl(MIXED), found.pnl, scen)
    assert abs(gap.max_error) < 2e-5 * gap.es_full and abs(gap.es_error) < 1e-6 * gap.es_full
    assert found.valuations == 3 * 48 * 12 and found.valuations_full == 3 * 3_000 and found.exact == 2
    assert found.patches["expiry"].tolist() == ["all"] * 3


def test_more_nodes_less_error() -> None:
    snapshot, scen = rich(), fat_tailed(500)
    full = revalue(MIXED, snapshot, scen).account_pnl(MIXED)
    errors = [
        float(np.abs(revalue_grid(MIXED, snapshot, scen, nodes=n).pnl - full).max())
        for n in ((6, 3), (12, 5), (24, 8), (48, 14))
    ]
    assert errors[0] > 10 * errors[1] > 100 * errors[2] > 1000 * errors[3]


def test_last_terms_tell_the_error() -> None:
    """Without a full revaluation: more is not missed than the highest terms say, and they die away."""
    snapshot, scen = rich(), fat_tailed(500)
    book = book_of((option("ETH", FAR, 2_800.0, "P", "linear"), -40.0))
    full, last = revalue(book, snapshot, scen).account_pnl(book), []
    for nodes in ((8, 4), (16, 6), (32, 10)):
        found = revalue_grid(book, snapshot, scen, nodes=nodes)
        last.append(float(found.patches["last_terms"].iloc[0]))
        assert 0.0 < float(np.abs(found.pnl - full).max()) < 5.0 * last[-1]
    assert last[0] > 30.0 * last[1] > 900.0 * last[2]


def test_exact_on_the_nodes() -> None:
    """The polynomial goes through the nodes: scenarios that are Chebyshev points with both ends fixed."""
    call = option("BTC", MONTH, 62_000.0, "C")
    nodes = np.cos(np.pi * (np.arange(7) + 0.5) / 7)
    scen = ScenarioSet(
        name="nodes", factors=(Factor("spot", "BTC"),),
        shocks=np.concatenate([[-0.3, 0.3], 0.3 * nodes])[:, None], horizon_days=0.0,
        dynamics="sticky_strike",
    )  # fmt: skip
    book = book_of((call, 10.0))
    full = revalue(book, rich(), scen).account_pnl(book)
    found = revalue_grid(book, rich(), scen, nodes=(7, 2))
    np.testing.assert_allclose(found.pnl[2:], full[2:], rtol=1e-10, atol=1e-7)
    assert np.abs(found.pnl[:2] - full[:2]).max() > 1.0
    assert found.patches.loc[0, ["spot_nodes", "vol_nodes"]].tolist() == [7, 1]


def test_own_basis_gives_an_expiry_its_own_grid_and_settlements_stay_exact(
    book: Portfolio, snapshot: MarketSnapshot
) -> None:
    scen = random_scenarios("sticky_moneyness", n=400)
    full = revalue(book, snapshot, scen)
    found = revalue_grid(book, snapshot, scen, nodes=(40, 12))
    assert set(found.patches["expiry"]) == {"2026-08-28", "2026-12-25"}
    assert found.patches["scenarios"].groupby(
        [found.patches["underlying"], found.patches["currency"], found.patches["expiry"]]
    ).sum().eq(400).all()  # fmt: skip
    assert len(found.patches) == 2 * 5  # rising vol has a floor in this set, so each side has its grid
    assert found.exact == len(book) - 6
    gap = revaluation_gap(full.account_pnl(book), found.pnl, scen)
    # the floor max(iv, 0.4) is a kink inside the grid
    assert abs(gap.max_error) < 2e-2 * gap.es_full


def test_numeraires_and_balances() -> None:
    scen = fat_tailed(300)
    fx = ScenarioSet(
        name="with fx", factors=(*scen.factors, Factor("fx", "USDC")), horizon_days=1.0,
        shocks=np.column_stack([scen.shocks, stream(2, "fx").normal(0.0, 0.01, 300)]),
        dynamics="sticky_strike",
    )  # fmt: skip
    cash = {"BTC": 0.5, "USDC": 5e4}
    for scenarios in (scen, fx):
        full = revalue(MIXED, rich(), scenarios)
        for numeraire in ("USD", "USDC", "BTC", "ETH"):
            found = revalue_grid(
                MIXED, rich(), scenarios, nodes=(40, 12), balances=cash, numeraire=numeraire
            ).pnl
            expected = full.account_pnl(MIXED, balances=cash, numeraire=numeraire)
            np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_account_of_the_chain() -> None:
    """On the shipped chain with the vols held, 32 by 8 nodes miss the tail by less than a cent."""
    chain, straddle = load_snapshot("deribit-btc-2026-08-01"), short_straddle()
    scen = fat_tailed(2_000)
    full = revalue(straddle, chain, scen).account_pnl(straddle)
    found = revalue_grid(straddle, chain, scen)
    gap = revaluation_gap(full, found.pnl, scen, method="grid")
    assert abs(gap.es_error) < 0.01 and gap.es_full > 5_000.0
    again = revalue_grid(straddle, chain, scen)
    assert again.pnl.tobytes() == found.pnl.tobytes() and again.provenance.id == found.provenance.id


def test_only_linear_contracts() -> None:
    book = book_of((future("BTC", None), 100.0))
    found = revalue_grid(book, rich(), fat_tailed(50))
    assert found.valuations == 0 and found.patches.empty
    np.testing.assert_allclose(found.pnl, revalue(book, rich(), fat_tailed(50)).account_pnl(book))


def test_display() -> None:
    found = revalue_grid(MIXED, rich(), fat_tailed(50), nodes=(8, 4))
    assert found.summary().index.names == ["underlying", "currency", "expiry"]
    assert found.to_frame().shape == (50, 2) and found.cite() == ("black1976", "trefethen2019", "zeron2019")
    assert "t(4)" not in found.to_dict() and "BTC" in repr(found)
    axes = found.plot()
    assert axes.get_ylabel() == "profit, USD"
    matplotlib.pyplot.close(axes.figure)


@pytest.mark.parametrize("kind", ["skew", "curvature", "term"])
def test_no_axis_for_the_shape_of_the_smile(kind: str) -> None:
    scen = one({("spot", "BTC"): 0.1, (kind, "BTC"): 0.01})  # type: ignore[dict-item]
    with pytest.raises(ConventionError, match=rf"move 'BTC {kind}' and BTC.*use revalue, or drop"):
        revalue_grid(book_of((option("BTC", MONTH, 62_000.0, "C"), 1.0)), rich(), scen)
    revalue_grid(book_of((future("BTC", None), 1.0)), rich(), scen)


def test_bad_arguments() -> None:
    book = book_of((option("BTC", MONTH, 62_000.0, "C"), 1.0))
    linear = book_of((option("BTC", FAR, 62_000.0, "C", "linear"), 1.0))
    rate = one({("spot", "BTC"): 0.1, ("rate", "USDC"): 0.01})
    with pytest.raises(ConventionError, match="move 'USDC rate'"):
        revalue_grid(linear, rich(), rate)
    revalue_grid(book, rich(), rate)
    for nodes in ((1, 8), (32,), (32.0, 8), 32, (True, 8)):
        with pytest.raises(ParameterError, match="two whole numbers of 2 or more"):
            revalue_grid(book, rich(), rate, nodes=nodes)  # type: ignore[arg-type]
    gone = grid([0.1], [-1.0, 0.0], dynamics="sticky_strike", underlyings=["BTC"])
    with pytest.raises(ParameterError, match=r"vol of BTC moves by -1 in scenario 0"):
        revalue_grid(book, rich(), gone)
    with pytest.raises(ConventionError, match="numeraire currency 'SOL' has no price"):
        revalue_grid(book, rich(), rate, numeraire="SOL")
    with pytest.raises(DataGapError, match="a factor of ETH"):
        revalue_grid(book_of((future("ETH", None), 1.0)), rich(), rate)
