"""What the laws of implied vol have in common: causal, positive, near realised vol, flatter with tenor."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.backtest import VOL_LAWS, ConstantBook, VolMoves, VolPath, run_vol_scenarios, vol_law_paths
from pmkit.backtest import walk_forward as walk
from pmkit.core.errors import DataGapError, ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.market import PriceHistory, load_history

LAWS = tuple(VOL_LAWS)


@pytest.fixture(scope="module")
def crypto() -> PriceHistory:
    return load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])


def law_path(
    law: str, history: PriceHistory, *, underlyings=None, seed: int = 20260801, **numbers
) -> VolPath:
    """Return the path of a law with some numbers of its own."""
    return VOL_LAWS[law](**numbers).path(history, underlyings=underlyings, seed=seed)


def made(days: int, seed: int, *, sd: float = 0.035, df: float = 4.0) -> PriceHistory:
    """Return simulated prices with fat tails."""
    shocks = sd * stream(seed, "made").standard_t(df, days) / math.sqrt(df / (df - 2.0))
    dates = pd.date_range("2020-01-01", periods=days)
    frame = pd.DataFrame({"X": 100.0 * np.exp(np.cumsum(shocks))}, index=dates)
    return PriceHistory.from_frame(frame, simulated=True)


@pytest.mark.parametrize("law", LAWS)
def test_no_vol_depends_on_a_later_price(crypto, law):
    cut = pd.Timestamp("2021-09-01")
    prices = crypto.prices.copy()
    later = stream(4, "later").standard_normal(prices.loc[prices.index > cut].shape)
    prices.loc[prices.index > cut] *= np.exp(np.cumsum(0.06 * later, axis=0))
    whole = law_path(law, crypto)
    changed = law_path(law, PriceHistory.from_frame(prices))
    short = law_path(law, crypto.until(cut))
    for other in (changed.frame.loc[:cut], short.frame):
        assert whole.frame.loc[:cut].equals(other)
    assert not whole.frame.loc[cut:].iloc[1:].equals(changed.frame.loc[cut:].iloc[1:])
    if whole.skew is not None:
        assert whole.skew.loc[:cut].equals(short.skew)


@settings(max_examples=12, derandomize=True, deadline=None)
@given(
    days=st.integers(2, 130),
    seed=st.integers(0, 10_000),
    sd=st.floats(0.001, 0.06),
    tenor=st.sampled_from([1.0, 7.0, 30.0, 365.0]),
    law=st.sampled_from(LAWS),
)
def test_any_history_gives_positive_vols_and_its_prefix_the_same_ones(days, seed, sd, tenor, law):
    history = made(days, seed, sd=sd, df=5.0)
    path = law_path(law, history, tenor_days=tenor, seed=seed)
    values = path.frame["X"].to_numpy()
    assert values.shape == (days,)
    assert ((values > 0.0) & (values <= 5.0)).all()
    assert path.simulated and path.provenance.simulated
    cut = max(2, days // 2)
    shorter = law_path(law, history.until(history.prices.index[cut - 1]), tenor_days=tenor, seed=seed)
    assert np.array_equal(shorter.frame["X"].to_numpy(), values[:cut])


@pytest.mark.parametrize("law", LAWS)
def test_equal_seeds_give_equal_bits_and_other_seeds_other_vols(crypto, law):
    one, same, other = (law_path(law, crypto, seed=seed) for seed in (1, 1, 2))
    assert one.frame.equals(same.frame)
    assert one.provenance.id == same.provenance.id != other.provenance.id
    assert not one.frame.equals(other.frame)
    alone = law_path(law, crypto, underlyings=["ETH"], seed=1)
    assert alone.frame["ETH"].equals(one.frame["ETH"])


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("sd", [0.02, 0.05])
def test_the_mean_level_is_near_realised_vol(law, sd):
    history = made(1500, 7, sd=sd, df=6.0)
    realised = float(np.sqrt(365.0 * np.mean(history.returns("X")["X"] ** 2)))
    vols = law_path(law, history, premium=1.0, prior_vol=realised).frame["X"]
    assert math.sqrt(float((vols**2).mean())) == pytest.approx(realised, rel=0.12)


@pytest.mark.parametrize("law", LAWS)
def test_business_days_count_252_to_the_year(law):
    daily = made(1200, 9, sd=0.012, df=6.0)
    dates = pd.bdate_range("2015-01-01", periods=1200)
    history = PriceHistory.from_frame(daily.prices.set_index(dates), calendar="business days", simulated=True)
    realised = float(np.sqrt(252.0 * np.mean(history.returns("X")["X"] ** 2)))
    vols = law_path(law, history, premium=1.0, prior_vol=realised).frame["X"]
    assert math.sqrt(float((vols**2).mean())) == pytest.approx(realised, rel=0.12)


@pytest.mark.parametrize("law", LAWS)
def test_the_premium_multiplies_and_long_tenors_move_less(crypto, law):
    plain, dear = (law_path(law, crypto, premium=p).frame for p in (1.0, 1.2))
    pd.testing.assert_frame_equal(1.2 * plain, dear, rtol=1e-13)
    quiet = {"har": {"premium_sd": 0.0}}.get(law, {})
    spread = [
        float(np.log(law_path(law, crypto, tenor_days=t, **quiet).frame["BTC"]).diff().std())
        for t in (7.0, 30.0, 90.0)
    ]
    assert spread[0] > spread[1] > spread[2]


def test_the_term_structure_leans_back_to_its_level(crypto):
    """After a fall short tenors stand above long ones, in a calm month below."""
    for law in LAWS:
        quiet = {"har": {"premium_sd": 0.0}}.get(law, {})
        weeks, year = (law_path(law, crypto, tenor_days=t, **quiet).frame["BTC"] for t in (7.0, 180.0))
        assert weeks.loc["2022-06-14"] > 1.05 * year.loc["2022-06-14"], law
    calm, far = (law_path("heston", crypto, tenor_days=t).frame["BTC"] for t in (7.0, 365.0))
    assert calm.loc["2023-08-10"] < far.loc["2023-08-10"]


def test_the_laws_are_three_and_none_is_the_margin_models(crypto):
    """Slope on returns, reaction to their size, tails: each law its own; none falls as the margin model's."""
    returns = crypto.returns("BTC")["BTC"]
    slope, kurtosis = {}, {}
    for name, path in vol_law_paths(crypto).items():
        moves = np.log(path.frame["BTC"]).diff().loc[returns.index]
        slope[name] = float(np.polyfit(returns, moves, 1)[0])
        kurtosis[name] = float(moves.kurt())
        assert np.corrcoef(returns.abs(), moves)[0, 1] > 0.4
    margin = VolMoves.of().beta["BTC"]
    assert margin < -0.9
    assert all(-0.5 < one < 0.0 for one in slope.values())
    assert slope["heston"] < min(slope["har"], slope["jumps"])
    assert kurtosis["heston"] < kurtosis["har"] < kurtosis["jumps"]
    paths = vol_law_paths(crypto)
    assert [path.label for path in paths.values()] == ["HAR law", "Heston law", "jump law"]
    assert paths["har"].skew is None
    assert (paths["heston"].skew < 0.0).all(axis=None) and (paths["jumps"].skew == -0.2).all(axis=None)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tenor_days": 0.0}, "tenor_days is 0.0"),
        ({"premium": -1.0}, "premium is -1.0"),
        ({"prior_vol": 70.0}, "prior_vol is 70.0"),
        ({"correlation": math.nan}, "correlation is nan"),
        ({"tenor_days": "30"}, "tenor_days is '30'; expected a number"),
        ({"premium": True}, "premium is True"),
    ],
)
def test_parameters_that_every_law_refuses(crypto, law, arguments, message):
    with pytest.raises(ParameterError, match=message):
        law_path(law, crypto, **arguments)


@pytest.mark.parametrize("law", LAWS)
def test_histories_that_are_refused(crypto, law):
    with pytest.raises(DataGapError, match="DOGE"):
        law_path(law, crypto, underlyings=["DOGE"])
    wild = made(300, 3, sd=0.9, df=5.0)
    with pytest.raises(ParameterError, match=r"law gives X an implied vol of .* on 2020-"):
        law_path(law, wild)


def test_what_was_at_the_money_is_marked_along_the_smile(crypto):
    """By hand: iv after = iv of the path times (S0/S1)^skew; without skew the vol of the path."""
    days = pd.date_range("2021-05-18", "2021-05-20")
    vols = pd.DataFrame({"BTC": [0.8, 1.0, 1.1]}, index=days)
    slope = pd.DataFrame({"BTC": [-0.1, -0.3, -0.2]}, index=days)
    book = ConstantBook.preset("short_straddle_30d")
    r = float(crypto.returns("BTC").loc["2021-05-19", "BTC"])
    for skew, after in ((None, 1.0), (slope, 1.0 * (1.0 / math.exp(r)) ** -0.3)):
        path = VolPath.from_frame(vols, skew=skew)
        run = walk(book, crypto, "hs", "2021-05-18", "2021-05-19", vol_path=path, n_paths=400)
        by_hand = book.pnl([[r]], [0.8], [[after]], 1.0)[0]
        assert run.frame["pnl"].iloc[0] == pytest.approx(by_hand, rel=1e-12)
        words = "marked along a smile" if skew is not None else "flat smile and term structure"
        assert any(words in note for note in run.notes)


def test_slopes_that_are_refused():
    days = pd.date_range("2021-05-18", periods=2)
    vols = pd.DataFrame({"BTC": [0.8, 1.0]}, index=days)
    for skew in (vols.rename(columns={"BTC": "ETH"}), vols * np.nan, vols.iloc[:1]):
        with pytest.raises(SchemaError, match=r"skew of shape \(., 1\) for vols of shape \(2, 1\)"):
            VolPath.from_frame(vols, skew=skew)


def test_walks_take_a_law_by_name_and_say_so(crypto):
    span = ("2021-05-17", "2021-05-20")
    for law, label in zip(LAWS, ("HAR law", "Heston law", "jump law"), strict=True):
        run = walk("short_straddle_30d", crypto, "hs", *span, vol_path=law, n_paths=400, seed=3)
        assert run.model_marked and run.title.endswith(f"model-marked: implied vols simulated, {label})")
        path = law_path(law, crypto, underlyings=["BTC"], seed=3)
        again = walk("short_straddle_30d", crypto, "hs", *span, vol_path=path, n_paths=400, seed=3)
        assert run.frame.equals(again.frame)
        assert set(path.references) <= set(run.cite())
    with pytest.raises(ParameterError, match="vol_path is 'rough'; expected one of 'low', 'base'"):
        walk("short_straddle_30d", crypto, "hs", *span, vol_path="rough")


def test_conclusions_are_those_that_all_laws_share(crypto):
    paths = vol_law_paths(crypto, underlyings=["BTC"])
    runs = run_vol_scenarios(
        "short_straddle_30d",
        crypto,
        "hs",
        "2021-05-01",
        "2021-12-31",
        paths=paths,
        n_paths=365,
        es_level=0.95,
    )
    assert list(runs.runs) == list(LAWS)
    assert runs.title.endswith("(P&L model-marked: implied vols simulated, HAR law, Heston law, jump law)")
    verdicts = runs.conclusions()
    same = (verdicts["har"] == verdicts["heston"]) & (verdicts["heston"] == verdicts["jumps"])
    assert verdicts["stable"].tolist() == same.tolist()
    assert {"corsi2009", "heston1993", "hawkes1971"} <= set(runs.cite())
    assert runs.summary().index.names[0] == "implied vols"
    with pytest.raises(ParameterError, match=r"paths holds 1 path\(s\)"):
        run_vol_scenarios("short_straddle_30d", crypto, paths={"har": "har"})
