"""W9, the what-if explorer: milliseconds on the clock from a slider to the picture, account of 73 lines.

Run it with ``python benchmarks/bench_explorer.py``. One step is what a moved slider asks for: all contracts
revalued, the surface of P&L, the requirement of the rule, and the picture as PNG.
"""

from __future__ import annotations

import itertools
import time
import warnings

from timing import interleaved, record

import pmkit as pm
from pmkit.report.explorer.picture import ExplorerPicture

LIMIT = 150.0
RULES = ("deribit-pm", "deribit-standard", "okx-pm")


def main() -> None:
    warnings.simplefilter("ignore", pm.PmkitWarning)
    market = pm.market.load_snapshot("deribit-btc-2026-08-01")
    account = pm.Account.from_csv(pm.datasets.path("account-market-maker"))
    explorer = pm.report.MarginExplorer(account, market, rules=list(RULES), stale="warn")
    picture = ExplorerPicture()
    moves = itertools.cycle([(-0.2, 0.3), (-0.1, 0.15), (0.0, 0.0), (0.1, -0.1), (0.2, 0.2)])

    def step(rule: str) -> bytes:
        spot, vol = next(moves)
        return picture.png(explorer.at(rule, spot=spot, vol=vol))

    steps = {rule: lambda r=rule: step(r) for rule in RULES}
    took = interleaved(steps, 15, clock=time.perf_counter)
    for rule in RULES:
        what = f"explorer, slider to picture, {rule}, {len(account.portfolio)} lines (wall clock)"
        record("W9", what, 1e3 * took[rule], "the limit", LIMIT, "ms", 1.0)


if __name__ == "__main__":
    main()
