"""Indices at a constant time: interpolation in total variance, and the index on coin options."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.market import datasets, read_quotes
from pmkit.surface import VixStrip, dvol_like, fit, forward_curve, variance_swap, vix_index, vix_strip


def flat_strip(minutes: float, variance: float) -> VixStrip:
    """Return a strip whose variance per year is given."""
    tau = minutes / 525_600
    return VixStrip(
        minutes=minutes, rate=0.0, forward=100.0, k0=100.0, strike=np.array([100.0]), delta_k=np.array([1.0]),
        price=np.array([1.0]), contribution=np.array([variance * tau / 2.0]), ledger=(),
    )  # fmt: skip


def test_interpolation_is_linear_in_total_variance() -> None:
    near, far = flat_strip(30_000.0, 0.25), flat_strip(60_000.0, 0.36)
    index = vix_index(near, far)
    by_hand = (0.25 * 30_000 * (16_800 / 30_000) + 0.36 * 60_000 * (13_200 / 30_000)) / 43_200
    assert index.vol == pytest.approx(math.sqrt(by_hand), rel=1e-14)
    assert index.index == 100.0 * index.vol and index.label == "Cboe method"
    assert vix_index(flat_strip(43_200.0, 0.25), far).vol == pytest.approx(0.5, rel=1e-14)
    index.check()
    assert len(index.to_frame()) == 2 and index.summary()["near_share"].tolist() == [0.56]


def test_an_index_is_not_extrapolated() -> None:
    for minutes in ((44_000.0, 60_000.0), (20_000.0, 30_000.0), (43_200.0, 43_200.0)):
        with pytest.raises(DataGapError, match="one expiry before and one after"):
            vix_index(*(flat_strip(m, 0.25) for m in minutes))
    good = vix_index(flat_strip(30_000.0, 0.25), flat_strip(60_000.0, 0.36))
    with pytest.raises(PmkitError, match="lies outside its expiries"):
        replace(good, minutes=10_000.0).check()


def test_the_index_on_a_real_coin_chain() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    index = dvol_like(quotes, "BTC")
    assert index.label == "DVOL-like" and 36.0 < index.index < 40.0
    # the strip of the nearer expiry again, from the table itself: coin times forward
    frame = quotes.of_underlying("BTC")
    expiry = min(
        (e for e in forward_curve(quotes, "BTC").quotes if (e - quotes.as_of).days < 30),
        key=lambda e: 30 - (e - quotes.as_of).days,
    )
    F = forward_curve(quotes, "BTC").quotes[expiry].price
    chain = frame[(frame["kind"] == "option") & (frame["expiry"] == expiry)]
    table = chain.pivot(index="strike", columns="is_call", values=["bid", "ask"]).sort_index()
    usd = [F * table[(c, flag)].to_numpy(float) for flag in (True, False) for c in ("bid", "ask")]
    minutes = (expiry - quotes.as_of).total_seconds() / 60
    again = vix_strip(table.index.to_numpy(), *usd, minutes=minutes, rate=0.0, rate_unit="decimal", forward=F)
    assert index.near.variance == pytest.approx(again.variance, rel=1e-14)
    # a model fitted to the same quotes says nearly the same of thirty days
    model = variance_swap(fit(quotes, model="svi"), 30 / 365)
    assert index.vol == pytest.approx(model.vol, abs=0.02)
    # parity in coin: the forward of the rule is that of the listed future within a fraction of a per cent
    by_rule = vix_strip(table.index.to_numpy(), *usd, minutes=minutes, rate=0.0, rate_unit="decimal")
    assert by_rule.forward == pytest.approx(F, rel=2e-3)


def test_bad_input() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    with pytest.raises(ParameterError, match="days is 0"):
        dvol_like(quotes, "BTC", days=0)
    with pytest.raises(DataGapError, match="expiries of BTC within 2000 days and 0 beyond"):
        dvol_like(quotes, "BTC", days=2000)
