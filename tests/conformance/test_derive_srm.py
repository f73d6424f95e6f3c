"""Published cases of Derive's standard margin, re-typed with their figures.

Source: test data of the Derive v2-core repository, commit 7736900d of 2026-01-21. ``IM`` and ``MM`` are net
margins. The second list holds cases that are printed as whole numbers, cut off towards zero.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from pmkit.margin.conformance.derive import CaseDraft
from pmkit.margin.conformance.feeds import ExpiryFeed, UnderlyingFeed
from pmkit.margin.conformance.run import ConformanceCase, conform, run_case
from pmkit.margin.parameters import load_parameter_sets

# name, expiries (seconds, forward, lines), coins, whether one perpetual bought at 1535 is held with 10 of
# funding to receive, stable, confidence of spot, IM, MM, value of the book; spot 1500, perpetual 1505
CASES = [
    (
        "Test1",
        ((500400, 1500.833279310994, ((-1.0, "C", 1500.0, 1.0478844940849863),)),),
        0.0,
        False,
        1.0,
        1.0,
        -304.371585,
        -191.871585,
        -79.371585,
    ),
    (
        "Test3",
        ((500400, 1500.833279310994, ((-1.0, "C", 1900.0, 1.1799938322791133),)),),
        0.0,
        False,
        1.0,
        1.0,
        -156.008262,
        -118.508262,
        -6.008262,
    ),
    (
        "Test4",
        ((500400, 1500.833279310994, ((-1.0, "P", 1300.0, 1.0831894155098765),)),),
        0.0,
        False,
        1.0,
        1.0,
        -164.322794,
        -126.822794,
        -14.322794,
    ),
    (
        "Test5",
        (
            (
                500400,
                1500.833279310994,
                (
                    (-1.0, "C", 1100.0, 1.198874027186882),
                    (1.0, "C", 1300.0, 1.0831894155098765),
                ),
            ),
        ),
        0.0,
        False,
        1.0,
        1.0,
        -200.0,
        -200.0,
        -187.084638,
    ),
    (
        "Test6",
        (
            (
                500400,
                1500.833279310994,
                (
                    (1.0, "C", 1900.0, 1.1799938322791133),
                    (-1.0, "C", 1700.0, 1.1163544712053557),
                ),
            ),
        ),
        0.0,
        False,
        1.0,
        1.0,
        -173.104014,
        -135.604014,
        -17.095753,
    ),
    (
        "Test7",
        (
            (
                500400,
                1500.833279310994,
                (
                    (1.0, "C", 1200.0, 1.1389393988282974),
                    (-1.0, "C", 1000.0, 1.2620121299319145),
                    (-0.1, "C", 2500.0, 1.32653865803086),
                ),
            ),
        ),
        0.0,
        False,
        1.0,
        1.0,
        -380.099994,
        -365.091661,
        -195.424981,
    ),
    (
        "Test16",
        ((500400, 1500.833279310994, ((-1.0, "C", 1500.0, 1.0478844940849863),)),),
        0.0,
        False,
        0.3,
        1.0,
        -1528.371585,
        -191.871585,
        -79.371585,
    ),
    ("Test17", (), 0.0, True, 1.0, 1.0, -117.825, -95.25, -20.0),
    ("Test18", (), 1.0, False, 1.0, 1.0, 150.0, 150.0, 1500.0),
    (
        "Test19",
        ((500400, 1500.833279310994, ((-1.0, "C", 1800.0, 1.1492964832093617),)),),
        1.0,
        False,
        1.0,
        1.0,
        -11.877712,
        25.622288,
        1488.122288,
    ),
    ("Test20", (), 1.0, False, 1.0, 0.15, -360.0, 150.0, 1500.0),
    (
        "Test21",
        ((500400, 1500.833279310994, ((-1.0, "P", 4500.0, 1.5973444422286496),)),),
        0.0,
        False,
        1.0,
        1.0,
        -3385.309438,
        -3224.104227,
        -2999.166723,
    ),
    (
        "Test24",
        ((900, 1450.1687079054382, ((-1.0, "C", 1500.0, 1.048124566815733),)),),
        0.0,
        False,
        1.0,
        1.0,
        -225.0,
        -112.5,
        -0.0,
    ),
    (
        "Test25",
        (
            (
                900,
                1450.1687079054382,
                (
                    (1.0, "C", 1200.0, 1.1385520609538669),
                    (-1.0, "C", 1000.0, 1.2616528861737466),
                    (-0.1, "C", 2500.0, 1.3268194743411348),
                ),
            ),
        ),
        0.0,
        False,
        1.0,
        1.0,
        -374.020245,
        -359.518558,
        -200.0,
    ),
]

NEAR, FAR = (892_800, 2002.83305), (1_497_600, 2004.7545)
# expiry, lines (qty, side, strike), IM, MM; spot 2000, vol 50 %
WHOLE = [
    (NEAR, ((-1.0, "C", 1500.0),), -802, -652),
    (NEAR, ((-2.0, "P", 3000.0),), -2594, -2294),
    (FAR, ((-1.0, "C", 2500.0),), -201, -151),
    (NEAR, ((-1.0, "P", 1100.0),), -200, -150),
    (NEAR, ((-1.0, "C", 1800.0), (1.0, "C", 2000.0)), -200, -200),
    (NEAR, ((1.0, "P", 2500.0), (-1.0, "P", 3000.0)), -500, -500),
    (NEAR, ((-1.0, "C", 2300.0), (1.0, "C", 4000.0)), -203, -153),
]


def build(
    name: str, spot: float, expiries: tuple[Any, ...], coins: float, perpetual: bool, stable: float,
    confidence: float, im: float, mm: float,
) -> ConformanceCase:  # fmt: skip
    draft = CaseDraft({"ETH": spot}, stable)
    draft.underlyings["ETH"] = UnderlyingFeed(confidence, 1.0)
    for seconds, forward, lines in expiries:
        draft.add_expiry("ETH", seconds, forward, ExpiryFeed(0.0))
        for qty, side, strike, iv in lines:
            draft.add_option("ETH", seconds, strike, side == "C", qty, iv)
    if coins:
        draft.balances["ETH"] = coins
    if perpetual:
        draft.add_perpetual("ETH", 1.0, 1505.0)
        draft.balances["USDC"] = (1505.0 - 1535.0) + 10.0
    parameters = next(s for s in load_parameter_sets("derive-srm") if s.variant == "reference")
    return draft.case(name, "derive-srm", parameters, 0.0, im=im, mm=mm)


@pytest.mark.parametrize("row", CASES, ids=[row[0] for row in CASES])
def test_published_case(row: tuple[Any, ...]) -> None:
    name, expiries, coins, perpetual, stable, confidence, im, mm, value = row
    case = build(name, 1500.0, expiries, coins, perpetual, stable, confidence, im, mm)
    for line in run_case(case):
        assert line.got == pytest.approx(line.expected, abs=6e-7), line.item
    result = case.rule.requirement(case.account, case.snapshot)
    result.check()
    assert result.equity == pytest.approx(value, abs=6e-7)


@pytest.mark.parametrize("row", WHOLE, ids=[f"{row[1][0][1]}{row[1][0][2]:g}" for row in WHOLE])
def test_published_whole_numbers(row: tuple[Any, ...]) -> None:
    (seconds, forward), lines, im, mm = row
    held = tuple((qty, side, strike, 0.5) for qty, side, strike in lines)
    case = build("whole", 2000.0, ((seconds, forward, held),), 0.0, False, 1.0, 1.0, im, mm)
    got = {line.item: line.got for line in run_case(case)}
    assert (math.trunc(got["im"]), math.trunc(got["mm"])) == (im, mm)


def test_the_case_file_of_the_venue(extra_data: Path) -> None:
    found = conform("derive-srm", [extra_data / "derive_margin_cases" / "srm_cases.json.gz"])
    assert found.ok and found.cases == 10 and len(found.lines) == 20
    assert found.to_frame()["difference"].abs().max() < 1e-12
