"""Books, markets and cubes of the wrong kind: refused by name, wherever they are handed in."""

from __future__ import annotations

from typing import Any

from pmkit.core.errors import ConventionError
from pmkit.instruments import Portfolio
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.inputs import check_kind

__all__ = ["check_held", "check_market"]


def check_market(snapshot: Any) -> None:
    """Raise ConventionError where ``snapshot`` is no MarketSnapshot."""
    check_kind(
        "snapshot", snapshot, MarketSnapshot, "pmkit.market.load_snapshot or MarketSnapshot.from_marks"
    )


def check_held(held: Any) -> None:
    """Raise ConventionError where ``held`` is neither a portfolio nor an account with one."""
    if not isinstance(held, Portfolio) and not isinstance(getattr(held, "portfolio", None), Portfolio):
        raise ConventionError(
            f"what is held is a {type(held).__name__}",
            "a Portfolio or an Account",
            "Portfolio.from_csv or Account.from_csv",
        )
