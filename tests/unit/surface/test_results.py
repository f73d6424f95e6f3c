"""What every result of the room can do: a summary, a tidy frame, a dict for JSON, a picture, sources."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.market import Quotes, datasets, read_quotes
from pmkit.surface import (
    RawSvi,
    Sabr,
    SliceQuotes,
    butterfly,
    calendar,
    delta_quotes,
    filter_quotes,
    fit,
    fit_essvi,
    fit_sabr,
    fit_svi,
    forward_curve,
    local_vol,
    numeric_butterfly,
    own_vols,
    repair,
    vix_strip,
)

VOGT = RawSvi(-0.0410, 0.1331, 0.3060, 0.3586, 0.4153)
NEAR = RawSvi(0.02, 0.2, -0.3, 0.0, 0.1)
FAR = RawSvi(0.04, 0.19, -0.3, 0.0, 0.1)
K = np.linspace(-0.4, 0.4, 9)


def coin() -> Quotes:
    return read_quotes(datasets.path("deribit-btc-2026-08-01"))


def points(w: FloatArray, error: FloatArray | float = 0.001) -> SliceQuotes:
    """Return simulated quotes of one expiry."""
    stamp = forward_curve(coin(), "BTC").as_of
    return SliceQuotes(
        expiry=stamp, tau=0.1, forward=100.0, k=K.copy(), w=w, error=np.broadcast_to(error, w.shape).copy(),
        w_bid=0.9 * w, w_ask=1.1 * w,
    )  # fmt: skip


def strip() -> Result:
    strikes = np.arange(80.0, 121.0, 5.0)
    call = np.maximum(100.0 - strikes, 0.0) + 2.0 * np.exp(-0.002 * (strikes - 100.0) ** 2)
    put = call - 100.0 + strikes
    return vix_strip(
        strikes, call - 0.1, call + 0.1, put - 0.1, put + 0.1, minutes=43_200.0, rate=0.0, rate_unit="decimal"
    )


@cache
def result(name: str) -> Result:
    made: dict[str, Callable[[], Result]] = {
        "butterfly": lambda: butterfly(VOGT),
        "numeric butterfly": lambda: numeric_butterfly(VOGT),
        "calendar": lambda: calendar(NEAR, FAR),
        "strip": strip,
        "repair": lambda: repair(coin(), forward_curve(coin(), "BTC")),
        "filter": lambda: filter_quotes(coin(), forward_curve(coin(), "BTC")),
        "local vol": lambda: local_vol(fit(coin(), model="essvi"), K[:, None], [0.1, 0.3]),
        "delta quotes": lambda: delta_quotes(NEAR, kind="pa_forward", tau=30 / 365),
        "svi fit": lambda: fit_svi(K, NEAR.w(K)),
        "curve": lambda: forward_curve(coin(), "BTC"),
        "parity": lambda: next(iter(forward_curve(coin(), "BTC").parity.values())),
        "vols": lambda: own_vols(coin(), forward_curve(coin(), "BTC")),
        "essvi fit": lambda: fit_essvi([points(NEAR.w(K))]),
    }
    return made[name]()


NAMES = (
    "butterfly", "numeric butterfly", "calendar", "strip", "repair", "filter", "local vol", "delta quotes",
    "svi fit", "curve", "parity", "vols", "essvi fit",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_result_is_shown_in_every_form(name: str) -> None:
    one = result(name)
    assert isinstance(one, Result)
    one.check()
    assert len(one.summary()) >= 1 and type(one).__name__ in repr(one) and "0x" not in repr(one)
    assert json.loads(json.dumps(one.to_dict(), allow_nan=False)) is not None
    axes = one.plot()  # type: ignore[attr-defined]
    assert axes.lines or axes.patches or axes.collections
    assert one.plot(axes) is axes  # type: ignore[attr-defined]


def test_intervals_of_arbitrage_are_shaded_also_where_they_do_not_end() -> None:
    report = calendar(NEAR, FAR)
    assert report.min_dw == -math.inf and report.violations[0][0] == -math.inf
    axes = report.plot()
    low, high = axes.get_xlim()
    shaded = axes.patches[0].get_window_extent()
    assert math.isfinite(low) and high > 0.0 and shaded.width > 0.0
    assert report.to_frame()["k_to"].iloc[0] == pytest.approx(-1.536, abs=1e-3)
    assert report.summary()["free"].tolist() == [False] and report.cite() == ("gatheral2014",)
    free = butterfly(FAR).plot()
    assert not free.patches


def test_local_vol_draws_one_line_a_time_and_the_filter_one_bar_an_expiry() -> None:
    assert len(result("local vol").plot().lines) == 2  # type: ignore[attr-defined]
    ledger = filter_quotes(coin(), forward_curve(coin(), "BTC"))
    bars = ledger.plot().containers
    assert sum(float(b.get_height()) for c in bars for b in c) == ledger.options
    assert len(bars[0]) == len(ledger.summary())


def test_no_slice_no_picture() -> None:
    none = fit_svi(K[:3], NEAR.w(K[:3]))
    assert none.svi is None
    with pytest.raises(DataGapError, match="no slice: 3 points, 5 are needed"):
        none.plot()


@pytest.mark.parametrize("bad", [0.0, -1e-3, math.nan, math.inf])
def test_an_error_bar_that_is_not_positive_is_refused(bad: float) -> None:
    error = np.full(K.size, 1e-3)
    error[4] = bad
    with pytest.raises(ParameterError, match=r"error\[4\] of 2026-08-01 is .*expected finite and positive"):
        points(NEAR.w(K), error)


def test_sabr_beyond_the_reach_of_its_expansion_has_a_status() -> None:
    for nu, status in ((2.0, "ok"), (3.6, "at_bound")):
        sabr = Sabr(alpha=0.5, beta=1.0, rho=-0.2, nu=nu)
        found, quality = fit_sabr(points(sabr.w(K, 100.0, 0.1)))
        assert found.nu == pytest.approx(nu, rel=1e-3) and quality.status == status
        assert ("nu² tau is 1.3, beyond the reach" in quality.detail) == (nu > 3.0)


def test_the_curve_says_its_forwards() -> None:
    curve = forward_curve(coin(), "BTC")
    assert curve.summary()["forward"].tolist() == curve.to_frame()["forward"].tolist()
    empty = replace(curve, quotes={}, parity={}, status={})
    assert empty.plot().get_ylabel() == "BTC" and empty.summary().empty
