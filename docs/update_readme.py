"""Write what the example prints into README.md, and its picture into docs/margin.png (`make readme`)."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import pmkit as pm
from pmkit.core.errors import PmkitWarning
from pmkit.margin import Comparison
from pmkit.report.tables import margin_rows, rule_title

ROOT = Path(__file__).resolve().parent.parent
SHOWN = (
    "initial margin",
    "maintenance",
    "IM against",
    "margin ratio",
    "netting",
    "implied level",
    "mean loss",
)
START, END = "<!-- margin-table -->", "<!-- end of margin-table -->"


def example() -> tuple[Comparison, pm.Account, pm.MarketSnapshot]:
    """Return the comparison that `make margin` prints, its account and its market."""
    market = pm.market.load_snapshot("deribit-btc-2026-08-01")
    account = pm.Account.from_csv(pm.datasets.path("account-market-maker"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        return pm.margin.compare(account, market, stale="warn"), account, market


def table(found: Comparison, market: pm.MarketSnapshot) -> str:
    """Return the main rows of the margin table in Markdown."""
    names = [rule_title(result) for result in found.results]
    lines = ["| | " + " | ".join(f"`{name}`" for name in names) + " |", "|---|" + "---:|" * len(names)]
    for row in margin_rows(found.results, market):
        if row.label.startswith(SHOWN):
            cells = [f"{c.text}<br>{c.note}" if c.note.startswith("=") else c.text for c in row.cells]
            lines.append(f"| {row.label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(found: Comparison, account: pm.Account, market: pm.MarketSnapshot, file: Path) -> None:
    """Draw the P&L of the account against spot beside what the rules ask for."""
    with pm.report.house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(12.0, 4.2), layout="constrained")
        pm.report.pnl_profile(account, market, ax=left)
        pm.report.margin_comparison(found.results, market, ax=right)
        figure.savefig(file, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    found, account, market = example()
    readme = ROOT / "README.md"
    block = f"{START}\n{table(found, market)}\n{END}"
    text = re.sub(f"{START}.*{END}", lambda _: block, readme.read_text(encoding="utf-8"), flags=re.DOTALL)
    readme.write_text(text, encoding="utf-8")
    draw(found, account, market, ROOT / "docs" / "margin.png")
    print("README.md and docs/margin.png written")
