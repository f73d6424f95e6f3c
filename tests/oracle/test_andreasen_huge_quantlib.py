"""The Andreasen-Huge surface against QuantLib's engine on the same quotes, also where nothing was quoted."""

from __future__ import annotations

import numpy as np
import pytest

from pmkit.surface import fit_andreasen_huge
from tests.golden.sx5e_2010 import SPOT, days, sx5e, table

ql = pytest.importorskip("QuantLib", reason="QuantLib is an oracle of the development environment")


def test_both_engines_agree_at_and_between_the_quotes() -> None:
    today = ql.Date(1, 3, 2010)
    ql.Settings.instance().evaluationDate = today
    spot = ql.QuoteHandle(ql.SimpleQuote(SPOT))
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, ql.Actual365Fixed()))
    quoted = ql.CalibrationSet()
    numbers = table()
    for column, d in enumerate(days(), start=1):
        for row in numbers[numbers[:, column] > 0.0]:
            side = ql.Option.Put if row[0] < 1.0 else ql.Option.Call
            option = ql.VanillaOption(
                ql.PlainVanillaPayoff(side, SPOT * row[0]), ql.EuropeanExercise(today + d)
            )
            quoted.append((option, ql.SimpleQuote(row[column])))
    kinds = ql.AndreasenHugeVolatilityInterpl
    engine = ql.AndreasenHugeVolatilityInterpl(quoted, spot, flat, flat, kinds.Linear, kinds.CallPut)
    theirs, ours = ql.AndreasenHugeVolatilityAdapter(engine), fit_andreasen_huge(sx5e())
    gaps = []
    for one in ours.slices:
        inner = 0.5 * (one.quotes.k[1:] + one.quotes.k[:-1])
        for k in np.concatenate([one.quotes.k, inner]):
            vol = theirs.blackVol(one.tau, SPOT * float(np.exp(k)), True)
            gaps.append(float(ours.iv(SPOT * np.exp(k), one.tau)) - vol)
    gap = np.abs(gaps)
    assert gap.size > 290
    # their own calibration error alone may be 0.2 vol points
    assert gap.max() < 0.0015 and gap.mean() < 1e-4
    for tau in (0.06, 0.4, 1.2, 3.0):
        for k in (-0.1, 0.0, 0.08):
            vol = theirs.blackVol(tau, SPOT * float(np.exp(k)), True)
            assert float(ours.iv(SPOT * np.exp(k), tau)) == pytest.approx(vol, abs=0.003)
