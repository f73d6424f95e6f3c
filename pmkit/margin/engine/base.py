"""What all rules share: choice of the parameter set, checks on the account, warnings collected."""

from __future__ import annotations

import contextlib
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from pmkit.core.errors import (
    DataGapError,
    MarkSourceWarning,
    ParameterError,
    PmkitWarning,
    StaleAccountWarning,
)
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.time import days_between
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Option
from pmkit.margin.accounts.account import Account
from pmkit.margin.parameters import ParameterSet, Stale, load_parameter_sets, select_set
from pmkit.margin.result import MarginResult, Origin
from pmkit.margin.schemas import SCHEMAS
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["AccountRule", "RuleBase", "account_fingerprint", "check_account", "collected", "origin"]


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collect the texts of the package's warnings inside the block, each once, and pass every warning on."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield texts
    seen: set[str] = set()
    for entry in caught:
        text = str(entry.message)
        if text in seen:
            continue
        seen.add(text)
        if issubclass(entry.category, PmkitWarning):
            texts.append(text)
        # The caller of the rule is four frames up: here, contextmanager, the rule's method.
        warnings.warn(entry.message, entry.category, stacklevel=4)


def check_account(account: Account, snapshot: MarketSnapshot, *, priced: Container[str] = ()) -> None:
    """Raise where the account is empty, newer than the snapshot, or holds what the snapshot does not know.

    ``priced`` names collateral currencies whose price comes from elsewhere.

    Raises
    ------
    DataGapError
        No position and no collateral, or a contract without forward or vol.
    LookAheadError
        The snapshot is older than the account.
    SchemaError
        An unknown or expired contract.
    ConventionError
        Collateral in a currency without a price.
    """
    if not len(account.portfolio) and not any(account.collateral.values()):
        raise DataGapError(
            f"account {account.name!r} is empty",
            "at least one position or one collateral balance",
            "add its rows",
        )
    account.check_against(snapshot)
    options = [i for i in account.instruments if isinstance(i, Option)]
    for option in options:
        # what its mark needs; the price itself is computed where it is used
        snapshot.forward(option.underlying, option.expiry)
    snapshot.ivs(options)
    for instrument in account.instruments:
        if not isinstance(instrument, Option):
            snapshot.mark(instrument)
    _warn_of_age(account, snapshot)
    _warn_of_marks(account, snapshot)
    for currency in (*account.collateral, *account.mmp_margin, *account.open_order_margin):
        if currency not in priced:
            account.price(currency, snapshot)


def _warn_of_age(account: Account, snapshot: MarketSnapshot) -> None:
    days = days_between(account.as_of, snapshot.as_of)
    if days > 1.0:
        text = f"account {account.name!r} is {days:.0f} days older than the snapshot it is judged by"
        warnings.warn(StaleAccountWarning(text), stacklevel=4)


def _warn_of_marks(account: Account, snapshot: MarketSnapshot) -> None:
    """Name the lines that are held and priced without a quote of their own, with the reason of the ledger."""
    reasons = snapshot.ledger_reasons
    held = [i.name for i in account.instruments if i.name in reasons]
    if held:
        lines = "; ".join(f"{name} ({', '.join(reasons[name])})" for name in held[:5])
        more = f" and {len(held) - 5} more" if len(held) > 5 else ""
        text = f"no usable quote of its own, so marked from the surface or by parity: {lines}{more}"
        warnings.warn(MarkSourceWarning(text), stacklevel=4)


def account_fingerprint(account: Account) -> str:
    """Return the fingerprint of positions, collateral and obligations."""
    held: Any = [(p.instrument.name, p.qty, p.entry_price) for p in account.portfolio]
    with contextlib.suppress(TypeError, ValueError):
        # the same text that fingerprint would write for plain finite numbers, in one pass
        held = json.dumps(held, allow_nan=False).encode()
    return fingerprint(
        held, dict(account.collateral), dict(account.mmp_margin), dict(account.open_order_margin)
    )


@dataclass(frozen=True, kw_only=True)
class RuleBase:
    """A rule with its variant, the date that selects its parameters, and what happens when they are old.

    Attributes
    ----------
    variant : str
    as_of : pandas.Timestamp or None
        Date that selects the parameter set; None for the date of the snapshot.
    stale : {"error", "warn"}
    parameters : tuple of ParameterSet or None
        Sets to choose from instead of the shipped ones.
    """

    name: ClassVar[str] = ""
    citations: ClassVar[tuple[str, ...]] = ()

    variant: str
    as_of: pd.Timestamp | None = None
    stale: Stale = "error"
    parameters: tuple[ParameterSet, ...] | None = None

    def __post_init__(self) -> None:
        if self.stale not in ("error", "warn"):
            raise ParameterError(f"stale is {self.stale!r}", "'error' or 'warn'", "name one of the two")
        if self.variant not in SCHEMAS[self.name]:
            raise ParameterError(
                f"unknown variant {self.variant!r} of {self.name}",
                f"one of {', '.join(SCHEMAS[self.name])}",
                "correct the name of the variant",
            )
        for given in self.parameters or ():
            if given.rule != self.name:
                raise ParameterError(
                    f"parameter set {given.id} belongs to {given.rule}",
                    f"sets of {self.name}",
                    "hand over the sets of this rule",
                )

    def parameter_set(self, snapshot: MarketSnapshot, underlying: str | None = None) -> ParameterSet:
        """Return the set in force on the rule's date, or on the snapshot's where the rule has none."""
        sets = load_parameter_sets(self.name) if self.parameters is None else self.parameters
        date = snapshot.as_of if self.as_of is None else self.as_of
        return select_set(sets, date, self.variant, underlying=underlying, stale=self.stale)

    def age_days(self, parameters: ParameterSet, snapshot: MarketSnapshot) -> float:
        """Return the days from the last observation of the set to the rule's date."""
        return parameters.age_days(snapshot.as_of if self.as_of is None else self.as_of)

    def stated(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        parameters: ParameterSet,
        said: Iterable[str],
        **figures: Any,
    ) -> MarginResult:
        """Return a result that names the rule, the account and the parameter set, with warnings each once."""
        return MarginResult(
            rule=self.name,
            variant=self.variant,
            account=account.name,
            as_of=snapshot.as_of,
            param_set=parameters.id,
            param_set_age_days=self.age_days(parameters, snapshot),
            warnings=tuple(dict.fromkeys(said)),
            references=self.citations,
            **figures,
        )

    def provenance(
        self, account: Account, snapshot: MarketSnapshot, parameters: ParameterSet, **more: Any
    ) -> Provenance:
        """Return the record of inputs: account, snapshot, parameter set and what else entered."""
        data = {
            "account": account_fingerprint(account),
            "snapshot": snapshot.fingerprint,
            "parameters": parameters.checksum,
            **more.pop("data", {}),
        }
        return Provenance(
            method=f"margin.{self.name}.{self.variant}",
            data=data,
            parameters={"set": parameters.id, **more.pop("parameters", {})},
            **more,
        )


class AccountRule(RuleBase, ABC):
    """Base of the rules that need an account and a snapshot alone and have a shape of their own."""

    @abstractmethod
    def requirement(
        self, account: Account, snapshot: MarketSnapshot, *, history: Any = None, state: Any = None
    ) -> MarginResult:
        """Return IM and MM of an account, positive, in the numeraire of the rule."""

    @abstractmethod
    def line_im_equity(self, account: Account, snapshot: MarketSnapshot) -> FloatArray:
        """Return ``im_equity`` of each line held alone, positions first, in the numeraire of the rule."""


def origin(parameters: ParameterSet, *keys: str) -> Origin:
    """Return ``"assumed"`` where any of the keys is an assumption, else ``"published"``."""
    return "assumed" if any(parameters.status[key] == "assumed" for key in keys) else "published"
