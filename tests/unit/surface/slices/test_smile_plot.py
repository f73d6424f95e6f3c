"""Pictures of smiles: a curve and bars an expiry, on the axes that are given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from pmkit.core.errors import DataGapError
from pmkit.market import datasets, read_quotes
from pmkit.surface import fit


@pytest.mark.parametrize("model", ["linear", "pchip", "svi", "svi-free", "sabr"])
def test_one_curve_and_one_set_of_bars_an_expiry(model: str) -> None:
    surface = fit(read_quotes(datasets.path("deribit-eth-2026-05-21")), model)
    ax = surface.plot()
    bars = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    assert len(bars) == len(surface.slices) and len(ax.get_legend().get_texts()) == len(surface.slices)
    assert ax.get_xlabel() == "log-moneyness ln(K/F)" and "%" in ax.get_ylabel()
    plt.close(ax.figure)


def test_bars_reach_from_bid_to_ask_and_the_curve_is_the_fit() -> None:
    surface = fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), "svi")
    one = surface.slice("2026-09-25")
    _, ax = plt.subplots()
    assert surface.plot(ax, expiries=["2026-09-25"]) is ax
    curve = ax.get_lines()[0]
    k, iv = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
    assert iv == pytest.approx(100.0 * np.sqrt(one.at(k) / one.tau))
    (bars,) = (c for c in ax.containers if isinstance(c, ErrorbarContainer))
    segments = bars.lines[2][0].get_segments()
    quotes = one.quotes
    for index, segment in enumerate(segments):
        low, high = segment[:, 1]
        mid = 100.0 * quotes.iv[index]
        if quotes.w_bid[index] > 0.0:
            assert low == pytest.approx(min(100.0 * np.sqrt(quotes.w_bid[index] / one.tau), mid))
        if np.isfinite(quotes.w_ask[index]):
            assert high == pytest.approx(max(100.0 * np.sqrt(quotes.w_ask[index] / one.tau), mid))
    assert one.plot(ax) is ax
    plt.close(ax.figure)


def test_an_expiry_that_is_not_there_is_refused() -> None:
    surface = fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), "svi")
    with pytest.raises(DataGapError, match="no slice at 2030-01-01"):
        surface.plot(expiries=["2030-01-01"])
    with pytest.raises(DataGapError, match="no slice to draw"):
        surface.plot(expiries=[])
