"""Implied vols of SX5E options of 1 March 2010 as printed by Andreasen and Huge (2010): the classic test set.

Rows: strike over spot, then vol by expiry, 0 where none was quoted. Spot 2772.7, no rates, no dividends.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmkit.market.snapshot import ForwardQuote
from pmkit.surface import ForwardCurve, LinearSurface, SmileSlice

SPOT = 2772.7
AS_OF = pd.Timestamp("2010-03-01T00:00Z")
YEARS = (0.025, 0.101, 0.197, 0.274, 0.523, 0.772, 1.769, 2.267, 2.784, 3.781, 4.778, 5.774)
TABLE = """
0.5131 0 0 0 0 0 0 0 0 .3366 .3291 0 0
0.5864 0 0 0 0 0 0 0 0 .3178 .3129 .3008 0
0.6597 0 0 0 0 0 0 0 0 .3019 .2976 .2975 0
0.7330 0 0 0 0 0 0 0 0 .2863 .2848 .2848 0
0.7697 0 0 0 .3262 .3079 .3001 .2843 0 0 0 0 0
0.8063 0 0 0 .3058 .2936 .2876 .2753 .2713 .2711 .2711 .2722 .2809
0.8430 0 0 0 .2887 .2798 .2750 .2666 0 0 0 0 0
0.8613 .3365 0 0 0 0 0 0 0 0 0 0 0
0.8796 .3216 .2906 .2764 .2717 .2663 .2637 .2575 .2555 .2580 .2585 .2611 .2693
0.8979 .3043 .2797 .2672 0 0 0 0 0 0 0 0 0
0.9163 .2880 .2690 .2578 .2557 .2531 .2519 .2497 0 0 0 0 0
0.9346 .2724 .2590 .2489 0 0 0 0 0 0 0 0 0
0.9529 .2586 .2488 .2405 .2407 .2404 .2411 .2418 .2410 .2448 .2469 .2501 .2584
0.9712 .2466 .2390 .2329 0 0 0 0 0 0 0 0 0
0.9896 .2358 .2300 .2253 .2269 .2284 .2299 .2347 0 0 0 0 0
1.0079 .2247 .2213 .2184 0 0 0 0 0 0 0 0 0
1.0262 .2159 .2140 .2123 .2142 .2173 .2198 .2283 .2275 .2322 .2384 .2392 .2486
1.0445 .2091 .2076 .2069 0 0 0 0 0 0 0 0 0
1.0629 .2056 .2024 .2025 .2039 .2074 .2104 .2213 0 0 0 0 0
1.0812 .2045 .1982 .1984 0 0 0 0 0 0 0 0 0
1.0995 .2025 .1959 .1944 .1962 .1988 .2022 .2151 .2161 .2219 .2269 .2305 .2399
1.1178 .1933 .1929 .1920 0 0 0 0 0 0 0 0 0
1.1362 0 0 0 .1902 .1914 .1950 .2091 0 0 0 0 0
1.1728 0 0 0 .1885 .1854 .1888 .2039 .2058 .2122 .2186 .2223 .2321
1.2095 0 0 0 .1867 .1811 .1839 .1990 0 0 0 0 0
1.2461 0 0 0 .1871 .1785 .1793 .1945 0 .2054 .2103 .2164 .2251
1.3194 0 0 0 0 0 0 0 0 .1988 .2054 .2105 .2190
1.3927 0 0 0 0 0 0 0 0 .1930 .2002 .2054 .2135
1.4660 0 0 0 0 0 0 0 0 .1849 .1964 .2012 0
"""


def table() -> np.ndarray:
    """Return the table as numbers: strike over spot in the first column."""
    return np.array([[float(x) for x in row.split()] for row in TABLE.strip().splitlines()])


def days() -> list[int]:
    """Return the whole days of the expiries."""
    return [int(365 * t) for t in YEARS]


def sx5e() -> LinearSurface:
    """Return the quotes as points of a linear surface."""
    numbers, slices = table(), []
    for column, d in enumerate(days(), start=1):
        quoted = numbers[:, column] > 0.0
        slices.append(
            SmileSlice(
                expiry=AS_OF + pd.Timedelta(days=d), tau=d / 365, forward=SPOT, k=np.log(numbers[quoted, 0]),
                w=numbers[quoted, column] ** 2 * d / 365,
            )
        )  # fmt: skip
    curve = ForwardCurve(
        underlying="SX5E", spot=SPOT, as_of=AS_OF,
        quotes={s.expiry: ForwardQuote(SPOT, "given") for s in slices}, parity={}, ledger=(),
    )  # fmt: skip
    return LinearSurface(slices=tuple(slices), curve=curve)
