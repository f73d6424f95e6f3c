"""From the words of a command line to the objects of the library; a refusal says what to write instead."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import (
    ConventionError,
    LookAheadError,
    ParameterError,
    RuleVersionError,
    StaleAccountWarning,
)
from pmkit.margin import Account, compare, list_parameter_sets, rule
from pmkit.market import MarketSnapshot, datasets, load_snapshot
from pmkit.pricing import warmup

if TYPE_CHECKING:
    from pmkit.margin.parameters import Stale
    from pmkit.margin.rule import AnyRule

__all__ = [
    "DEFAULT_RULES",
    "EXAMPLE_ACCOUNT",
    "EXAMPLE_SNAPSHOT",
    "build_rules",
    "calculation_day",
    "chosen_sources",
    "compile_everything",
    "open_account",
    "open_snapshot",
    "parameter_sets",
    "simulated_note",
]

DEFAULT_RULES = ("es-fhs", "var-hs", "deribit-pm", "deribit-standard")
EXAMPLE_ACCOUNT = "account-market-maker"
EXAMPLE_SNAPSHOT = "deribit-btc-2026-08-01"


def chosen_sources(
    accounts: str | Sequence[str] | None, snapshots: Sequence[str] | None, *, example: bool
) -> tuple[list[str], list[str]]:
    """Return the names of the accounts and of the market: those that were given, or those of the example.

    Raises
    ------
    ParameterError
        Neither files nor the example, or both.
    """
    given = [accounts] if isinstance(accounts, str) else list(accounts or ())
    if example and (given or snapshots):
        raise ParameterError(
            "--example together with --account or --snapshot",
            "either the example or own files",
            "leave one of them out",
        )
    if example:
        return [EXAMPLE_ACCOUNT], [EXAMPLE_SNAPSHOT]
    missing = [flag for flag, value in (("--account", given), ("--snapshot", snapshots)) if not value]
    if missing:
        raise ParameterError(
            f"no {missing[0]}",
            "an account and a market snapshot",
            f"add {missing[0]} FILE, or try --example",
        )
    return given, list(snapshots or ())


def simulated_note(name_or_path: str) -> str:
    """Return the sentence that says that a shipped account is made up; empty for the user's own file."""
    listed = datasets.list()
    known = name_or_path in listed.index and bool(listed.loc[name_or_path, "simulated"])
    return f"the account is simulated (data set {name_or_path}), the market data are real" if known else ""


def open_account(name_or_path: str) -> Account:
    """Return the account of a CSV file, or of an account data set by its name."""
    if name_or_path not in datasets.list().index:
        return Account.from_csv(name_or_path)
    datasets.find(name_or_path, kinds=("account",))
    return Account.from_csv(datasets.path(name_or_path))


def open_snapshot(names_or_paths: Sequence[str]) -> MarketSnapshot:
    """Return the snapshot of one data set or file, or of several files, one a coin."""
    return load_snapshot(names_or_paths[0] if len(names_or_paths) == 1 else list(names_or_paths))


def calculation_day(as_of: str | None, snapshot: MarketSnapshot) -> pd.Timestamp | None:
    """Return the day that selects the parameter sets; None for the day of the snapshot.

    Raises
    ------
    ConventionError
        Not a day in the shape 2026-08-01.
    LookAheadError
        The snapshot is from after that day.

    Warns
    -----
    StaleAccountWarning
        The day is after the snapshot's.
    """
    if as_of is None:
        return None
    day = pd.Timestamp(_day_of(as_of), tz="UTC")
    if snapshot.as_of.normalize() > day:
        raise LookAheadError(
            f"snapshot {snapshot.source} of {snapshot.as_of.isoformat()} is newer than --as-of {as_of}",
            f"--as-of {snapshot.as_of.date().isoformat()} or later",
            "ask for the snapshot's day, or load the snapshot of that day",
        )
    later = (day - snapshot.as_of.normalize()).days
    if later > 0:
        text = f"parameter sets are those of {as_of}, {later} days after the snapshot that is margined"
        warnings.warn(StaleAccountWarning(text), stacklevel=2)
    return day


def _day_of(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConventionError(
            f"--as-of {text!r} is not a day", "a day such as 2026-08-01", "write year, month and day"
        ) from None


def build_rules(
    names: Sequence[str],
    *,
    as_of: pd.Timestamp | None,
    variant: str | None,
    stale: Stale,
    estimation_error: bool,
) -> list[AnyRule]:
    """Return the rules by name under the parameter sets of a day.

    Parameters
    ----------
    names : sequence of str
        Each once.
    as_of : Timestamp or None
        None for the day of the snapshot.
    variant : str or None
        For the rules that have several; where none of ``names`` has, it is refused.
    stale : {"error", "warn"}
    estimation_error : bool
        Have ``es-fhs`` compute its estimation error, which takes seconds.

    Raises
    ------
    ParameterError
        A rule named twice, or a variant that the rules do not have.
    RuleVersionError
        An unknown rule, or no parameter set for the day.
    """
    repeated = [name for name in names if list(names).count(name) > 1]
    if repeated:
        raise ParameterError(f"rule {repeated[0]!r} is named twice", "each rule once", "name it once")
    variants = list_parameter_sets().groupby("rule")["variant"].nunique()
    several = [name for name in names if variants.get(name, 0) > 1]
    made = []
    for name in names:
        options = {"estimation_error": True} if estimation_error and name == "es-fhs" else {}
        chosen = variant if name in (several or names) else None
        made.append(rule(name, as_of=as_of, variant=chosen, stale=stale, **options))
    return made


def parameter_sets(names: Sequence[str] | None, as_of: str | None) -> tuple[str, pd.DataFrame]:
    """Return a day and the shipped parameter sets with their ages on it, those of the named rules alone.

    Raises
    ------
    ConventionError
        Not a day in the shape 2026-08-01.
    RuleVersionError
        A rule without parameter sets.
    """
    day = pd.Timestamp.now(tz="UTC").date() if as_of is None else _day_of(as_of)
    frame = list_parameter_sets(day)
    known = list(dict.fromkeys(frame["rule"]))
    for name in names or ():
        if name not in known:
            raise RuleVersionError(
                f"no parameter sets of {name!r}", f"one of {', '.join(known)}", "correct the name of the rule"
            )
    return day.isoformat(), frame[frame["rule"].isin(names)] if names else frame


def compile_everything() -> float:
    """Run one small margin so that every kernel is compiled and cached, and return the seconds it took."""
    from pmkit.estimation import warmup_correlation, warmup_volatility
    from pmkit.risk import warmup_accounts
    from pmkit.scenarios import warmup_joint
    from pmkit.surface import warmup_slices

    begin = time.perf_counter()
    warmup()
    warmup_slices()
    warmup_volatility()
    warmup_correlation()
    warmup_joint()
    warmup_accounts()
    account, market = open_account("account-covered-call"), open_snapshot([EXAMPLE_SNAPSHOT])
    compare(account, market, rules=[rule("es-fhs", n_paths=2_000)])
    return time.perf_counter() - begin
