"""What a replay returns: every step of every account, every trade, and what is left."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.margin.accounts.account import Account

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["Replay"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Replay(Result):
    """What happened to each account at each step of a path.

    Attributes
    ----------
    rule : str
    steps : pandas.DataFrame
        One row a step and account: ``as_of``; ``equity``, ``im``, ``mm``, ``excess`` (USD), ``margin_ratio``
        and ``status`` before anything is done; ``event`` (``none``, ``call``, ``call met``,
        ``closed for call``, ``liquidated``, ``closed out``, ``bankrupt``, ``gone``); ``call`` and ``paid``;
        ``funding`` and ``settled`` (cash received since the step before); ``closed`` (gross notional),
        ``fees``, ``shortfall``, ``fund_paid`` and ``uncovered``, all USD; ``positions`` (lines left).
    trades : pandas.DataFrame
        One row a closing trade, at the mark: ``qty`` signed, ``fee`` in ``currency``, ``reason``.
    fund : float
        What is left of the insurance fund, USD.
    accounts : tuple of Account
        As they are after the last step.
    warnings, notes : tuple of str
    """

    rule: str
    steps: pd.DataFrame
    trades: pd.DataFrame
    fund: float
    accounts: tuple[Account, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance(method="liquidation.replay"))
    references: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise where a shortfall is not what the fund paid and what nobody did."""
        gap = (self.steps["shortfall"] - self.steps["fund_paid"] - self.steps["uncovered"]).abs().max()
        if gap > 1e-6:
            raise PmkitError(f"shortfall off by {gap:g}", "fund and uncovered", "report this as a bug")

    def of(self, account: str) -> pd.DataFrame:
        """Return the steps of one account, by instant.

        Raises
        ------
        ParameterError
            No account of that name.
        """
        found = self.steps[self.steps["account"] == account]
        if found.empty:
            names = ", ".join(dict.fromkeys(self.steps["account"]))
            raise ParameterError(f"no account {account!r}", f"one of {names}", "correct the name")
        return found.set_index("as_of").drop(columns="account")

    def summary(self) -> pd.DataFrame:
        """Return one row an account: first call and closing, sums of payments, closings and losses."""
        rows = {}
        for name, steps in self.steps.groupby("account", sort=False):
            called = steps[steps["call"] > 0.0]["as_of"]
            hit = steps[steps["closed"] > 0.0]["as_of"]
            rows[str(name)] = {
                "first_call": called.iloc[0] if len(called) else pd.NaT,
                "first_closing": hit.iloc[0] if len(hit) else pd.NaT,
                **{c: math.fsum(steps[c]) for c in ("paid", "funding", "settled", "closed", "fees")},
                **{c: math.fsum(steps[c]) for c in ("shortfall", "uncovered")},
                "equity_first": float(steps["equity"].iloc[0]),
                "equity_last": float(steps["equity"].iloc[-1]),
                "last_event": str(steps["event"].iloc[-1]),
            }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = f"under {self.rule}, USD"
        numbers = frame.select_dtypes("number").columns
        return frame.assign(**{str(c): frame[c].round(8) for c in numbers})

    def to_frame(self) -> pd.DataFrame:
        """Return one row a step and account."""
        return self.steps.copy()

    def plot(self, ax: Axes | None = None, *, account: str | None = None) -> Axes:
        """Return axes with equity, IM and MM of an account (the first) along the path, its events marked."""
        axes = new_axes(ax)
        name = account or str(self.steps["account"].iloc[0])
        steps = self.of(name)
        at = steps.index.to_numpy()
        for column, style in (("equity", "-"), ("im", "--"), ("mm", ":")):
            axes.plot(at, steps[column].to_numpy(), style, label=column)
        for event, marker in (
            ("call", "v"),
            ("liquidated", "x"),
            ("closed for call", "x"),
            ("bankrupt", "X"),
        ):
            hit = steps[steps["event"] == event]
            if len(hit):
                axes.scatter(
                    hit.index.to_numpy(), hit["equity"].to_numpy(), marker=marker, label=event, zorder=3
                )
        axes.set(xlabel="UTC", ylabel="USD", title=f"{name} under {self.rule}")
        axes.tick_params(axis="x", rotation=30)
        axes.legend()
        return axes
