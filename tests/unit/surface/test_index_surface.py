"""From a simulated dirty index chain to a surface: forward, discount and smile come back."""

from __future__ import annotations

import numpy as np
import pytest

from pmkit.market import read_quotes
from pmkit.surface import QuoteFilter, filter_quotes, fit, forward_curve
from tests.unit.surface.index_chains import make_chain, ssvi


@pytest.mark.parametrize(
    ("faults", "inside"),
    [
        ({"missing": 0.15}, 1.0),
        ({"missing": 0.15, "seed": 2}, 1.0),
        ({"stale": 0.03, "seed": 3}, 0.95),
        # here a stale call far out of the money stays: its put is too wide to tell
        ({"stale": 0.03, "seed": 2}, 0.8),
        ({"stale": 0.03, "missing": 0.1, "seed": 4}, 0.95),
    ],
)
def test_forward_discount_and_smile_come_back(faults: dict[str, float], inside: float) -> None:
    frame, truth = make_chain(**faults)  # type: ignore[arg-type]
    quotes = read_quotes(frame, expiry_time="20:00 UTC")
    curve = forward_curve(quotes, "SPX", contradicting="drop")
    surface = fit(quotes, "svi", curve=curve, filter=QuoteFilter())
    assert [s.expiry for s in surface.slices] == list(truth)
    for one in surface.slices:
        F, D = truth[one.expiry]
        assert one.forward == pytest.approx(F, rel=1e-4)
        assert curve.discount(one.expiry) == pytest.approx(D, abs=5e-4)
        k = one.quotes.k
        true = ssvi(k, one.tau)
        error = np.sqrt(one.at(k) / one.tau) - np.sqrt(true / one.tau)
        assert np.sqrt(np.mean(error**2)) < 0.01
        assert one.fit.inside >= inside


def test_the_filter_takes_out_what_was_stale() -> None:
    frame, truth = make_chain(stale=0.05, spread=0.005, seed=7)
    quotes = read_quotes(frame, expiry_time="20:00 UTC")
    curve = forward_curve(quotes, "SPX", contradicting="drop")
    found = filter_quotes(quotes, curve)
    left = found.quotes.frame
    for expiry, (F, D) in truth.items():
        here = left[left["expiry"] == expiry].pivot(index="strike", columns="is_call", values="mid").dropna()
        gap = here[True] - here[False] - D * (F - here.index.to_numpy())
        # a stale call is off by about a hundredth of the index times its delta
        assert gap.abs().max() < 0.01 * F * 0.5
    assert found.counts()["stale"] > 10 and found.counts()["no_forward"] == 0
