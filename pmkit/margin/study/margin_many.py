"""One rule over many accounts: requirements from contracts that are revalued once, or account by account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.progress import ProgressBar
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.margin.accounts.account import Account
from pmkit.margin.engine.base import account_fingerprint
from pmkit.margin.engine.many import ManyRule
from pmkit.margin.parameters import Stale
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import AnyRule
from pmkit.margin.study.what_if import rule_of
from pmkit.market.snapshot import MarketSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ManyMargins", "margin_many"]

_FIGURES = ("im", "mm", "im_equity", "mm_equity", "equity", "excess", "margin_ratio")
_ORDER = ("ok", "below_im", "below_mm", "insolvent")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ManyMargins(Result):
    """Requirements of many accounts under one rule.

    Attributes
    ----------
    values : DataFrame
        One row an account: ``numeraire``, ``im``, ``mm``, ``im_equity``, ``mm_equity``, ``equity``,
        ``excess``, ``margin_ratio``, ``status``, ``worst_scenario`` and ``worst_pnl``, amounts in the
        numeraire of the row, defined as in :class:`pmkit.margin.MarginResult`.
    rule, variant : str
    as_of : pandas.Timestamp
    shared : bool
        Whether every contract was revalued once for all accounts.
    warnings : tuple of str
        What the rule warned of, each text once.
    provenance : Provenance
    """

    values: pd.DataFrame
    rule: str
    variant: str
    as_of: pd.Timestamp
    shared: bool
    warnings: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance(method="margin.margin_many"))
    references: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def to_frame(self) -> pd.DataFrame:
        """Return one row an account."""
        return self.values.copy()

    def summary(self) -> pd.DataFrame:
        """Return accounts, sums of the requirements and equity, and counts by status, a row a numeraire."""
        rows = {}
        for numeraire, part in self.values.groupby("numeraire", sort=False):
            row: dict[str, float] = {"accounts": len(part)}
            row |= {name: float(np.add.reduce(part[name].to_numpy())) for name in ("im", "mm", "equity")}
            rows[str(numeraire)] = row | {word: int((part["status"] == word).sum()) for word in _ORDER}
        return pd.DataFrame.from_dict(rows, orient="index")

    def check(self) -> None:
        """Raise where a requirement is not finite, or excess is not equity less requirement."""
        figures = self.values[["im", "mm", "equity"]].to_numpy(dtype=np.float64)
        if not np.isfinite(figures).all():
            raise PmkitError("a requirement is not finite", "finite numbers", "report this as a bug")
        if (self.values["equity"] - self.values["im_equity"] != self.values["excess"]).any():
            raise PmkitError("excess is not equity less requirement", "equality", "report this as a bug")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the share of accounts below each margin ratio, one line a numeraire."""
        axes = new_axes(ax)
        for numeraire, part in self.values.groupby("numeraire", sort=False):
            ratio = np.sort(part["margin_ratio"].to_numpy(dtype=np.float64))
            share = np.arange(1, ratio.size + 1) / ratio.size
            finite = np.isfinite(ratio)
            axes.step(100.0 * ratio[finite], 100.0 * share[finite], where="post", label=str(numeraire))
        axes.axvline(100.0, color="black", linewidth=0.8)
        axes.set(
            xlabel="initial requirement / equity, %",
            ylabel="share of accounts, %",
            title=f"{len(self):,} accounts under {self.rule} {self.variant}".strip(),
        )
        axes.legend()
        return axes


def margin_many(
    accounts: Mapping[str, Account] | Iterable[Account],
    snapshot: MarketSnapshot,
    rule: str | AnyRule,
    *,
    stale: Stale = "error",
    progress: bool | None = None,
) -> ManyMargins:
    """Return the requirements of many accounts under one rule, amounts positive in the rule's numeraire.

    Under ``deribit-pm``, ``derive-pmrm-v1`` and ``derive-pmrm-v2`` every distinct contract is revalued once
    and the accounts are sums over its row; under the other rules each account is a calculation of its own.
    For thousands of accounts under a VaR or ES use :func:`pmkit.risk.account_measures`.

    Parameters
    ----------
    accounts : mapping of str to Account, or accounts
        By name, or with their own names, which must differ.
    snapshot : MarketSnapshot
        One market for all of them.
    rule : str or rule
        A rule, or the name of one that needs no further inputs.
    stale : {"error", "warn"}
        Where the rule is given by name: what happens past the last observation of its parameters.
    progress : bool, optional
        Whether to show a progress bar where accounts are calculated one by one; where left out, in a
        terminal, after two seconds.

    Returns
    -------
    ManyMargins

    Raises
    ------
    DataGapError
        There is no account.
    ConventionError
        What is given is no account, no snapshot or no rule, or two different contracts share a name.
    ParameterError
        Two accounts of one name.
    PmkitError
        Whatever the rule raises for the first account at fault.

    Notes
    -----
    The sums run over an account's own lines in its own order, so that the figures are those of
    ``rule.requirement``, equal in the last bit on one type of processor.

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot
    >>> snap = MarketSnapshot.from_marks("2024-06-17T00:00:00Z", {"BTC": 65_000.0})
    >>> line = {"type": "position", "instrument": "BTC-PERPETUAL", "as_of": "2024-06-17"}
    >>> held = {n: Account.from_records([{**line, "qty": q}]) for n, q in (("a", 6500.0), ("b", -6500.0))}
    >>> margin_many(held, snap, "deribit-pm").values["im"].round(6).tolist()
    [0.200476, 0.147931]
    """
    named = _by_name(accounts)
    if not isinstance(snapshot, MarketSnapshot):
        raise ConventionError(
            f"the snapshot is a {type(snapshot).__name__}", "a MarketSnapshot", "pm.market.load_snapshot(...)"
        )
    held = list(named.values())
    used = rule_of(rule, held[0], stale)
    shared = isinstance(used, ManyRule)
    results: list[MarginResult] = []
    if isinstance(used, ManyRule):
        results = used.many(held, snapshot)
    else:
        with ProgressBar("accounts", len(held), progress) as bar:
            for account in held:
                results.append(used.requirement(account, snapshot))
                bar.advance()
    columns: dict[str, Sequence[object]] = {"numeraire": [r.numeraire for r in results]}
    columns |= {name: [getattr(r, name) for r in results] for name in _FIGURES}
    columns["status"] = [r.status for r in results]
    columns["worst_scenario"] = [r.worst_scenario.name for r in results]
    columns["worst_pnl"] = [r.worst_scenario.pnl for r in results]
    names = pd.Index(list(named), name="account")
    return ManyMargins(
        values=pd.DataFrame(columns, index=names),
        rule=used.name,
        variant=used.variant,
        as_of=snapshot.as_of,
        shared=shared,
        warnings=tuple(dict.fromkeys(text for r in results for text in r.warnings)),
        provenance=Provenance(
            method="margin.margin_many",
            data={
                "accounts": fingerprint([account_fingerprint(account) for account in held]),
                "snapshot": snapshot.fingerprint,
            },
            parameters={
                "rule": used.name,
                "variant": used.variant,
                "sets": sorted({r.param_set for r in results}),
            },
        ),
        references=results[0].references,
    )


def _by_name(accounts: Mapping[str, Account] | Iterable[Account]) -> dict[str, Account]:
    """Return accounts by name, checked."""
    if isinstance(accounts, (str, Account)) or not isinstance(accounts, (Mapping, Iterable)):
        raise ConventionError(
            f"the accounts are a {type(accounts).__name__}",
            "a mapping {name: Account} or a list of accounts",
            "pass [account] for one",
        )
    pairs = list(accounts.items()) if isinstance(accounts, Mapping) else [(None, one) for one in accounts]
    named: dict[str, Account] = {}
    for given, account in pairs:
        if not isinstance(account, Account):
            raise ConventionError(
                f"one of the accounts is a {type(account).__name__}", "an Account", "Account.from_csv(path)"
            )
        name = account.name if given is None else str(given)
        if name in named:
            raise ParameterError(
                f"two accounts are called {name!r}", "a name for each", "pass a mapping {name: Account}"
            )
        named[name] = account
    if not named:
        raise DataGapError("there is no account", "at least one", "add one")
    return named
