"""The registry of rules: a name, a date and a variant in, a rule object out."""

from __future__ import annotations

import warnings
from dataclasses import fields
from typing import Any

import pandas as pd

from pmkit.core.errors import ParameterError, RuleVersionError, StaleParametersWarning
from pmkit.core.time import parse_utc
from pmkit.margin.engine.base import AccountRule, RuleBase
from pmkit.margin.engine.coin_rule import CoinRule
from pmkit.margin.engine.measure_rule import MeasureRule
from pmkit.margin.engine.usd_rule import UsdRule
from pmkit.margin.parameters import Stale, load_parameter_sets, select_set
from pmkit.margin.rules.deribit_pm import DeribitPm, DeribitXpm
from pmkit.margin.rules.deribit_standard import DeribitStandard
from pmkit.margin.rules.derive_pmrm_v1 import DerivePmrmV1
from pmkit.margin.rules.derive_pmrm_v2 import DerivePmrmV2
from pmkit.margin.rules.derive_srm import DeriveSrm
from pmkit.margin.rules.hyperliquid_pm import HyperliquidPm
from pmkit.margin.rules.leverage_brackets import LeverageBrackets
from pmkit.margin.rules.measure import EsFhs, VarHs
from pmkit.margin.rules.okx import OkxPm, OkxStandard, OkxStandardUsd
from pmkit.margin.rules.paradex_pm import ParadexPm
from pmkit.margin.rules.reg_t import RegT
from pmkit.margin.rules.simm import Simm
from pmkit.margin.rules.span import Span
from pmkit.margin.rules.tims import Tims

__all__ = ["AnyRule", "default_rules", "rule", "rules"]

AnyRule = AccountRule | CoinRule | MeasureRule | UsdRule

_Kind = type[AccountRule] | type[CoinRule] | type[MeasureRule] | type[UsdRule]
#: rules that any account of coin-settled contracts can be put under without further inputs
_DEFAULT: tuple[_Kind, ...] = (EsFhs, VarHs, DeribitPm, DeribitStandard)
_RULES: dict[str, _Kind] = {
    kind.name: kind
    for kind in (
        *_DEFAULT,
        DerivePmrmV1,
        DerivePmrmV2,
        DeriveSrm,
        OkxPm,
        OkxStandard,
        OkxStandardUsd,
        ParadexPm,
        HyperliquidPm,
        LeverageBrackets,
        Tims,
        RegT,
        Span,
        Simm,
    )
}
#: variants with a shape of their own, in place of the kind of their name
_VARIANTS: dict[tuple[str, str | None], _Kind] = {("deribit-pm", "xpm"): DeribitXpm}


def rules() -> tuple[str, ...]:
    """Return the names of all rules.

    Examples
    --------
    >>> rules()[:4]
    ('es-fhs', 'var-hs', 'deribit-pm', 'deribit-standard')
    >>> rules()[4:7]
    ('derive-pmrm-v1', 'derive-pmrm-v2', 'derive-srm')
    """
    return tuple(_RULES)


def default_rules() -> tuple[str, ...]:
    """Return the names of the rules that :func:`pmkit.margin.compare` uses where none are named.

    They take coin-settled contracts and need an account and a snapshot alone. The others need the feeds of
    their venue's oracles, contracts of another settlement, or inputs of their own.
    """
    return tuple(kind.name for kind in _DEFAULT)


def rule(
    name: str,
    as_of: str | pd.Timestamp | None = None,
    variant: str | None = None,
    stale: Stale = "error",
    **options: Any,
) -> AnyRule:
    """Return a rule with the parameters of a date; its ``requirement(account, snapshot)`` gives the margin.

    Parameters
    ----------
    name : str
        One of :func:`rules`.
    as_of : str or Timestamp, optional
        UTC date that selects the parameter set; the date of the snapshot where it is left out.
    variant : str, optional
        Variant of the rule; its usual one where it is left out.
    stale : {"error", "warn"}
        What happens where the date is past the last one on which the parameters were observed.
    **options
        Further arguments of the rule: for ``es-fhs`` and ``var-hs`` any key of its parameter table
        (``n_paths``, ``vol_anchor``, ``seed``, …) and ``estimation_error``; for ``deribit-pm``
        ``delta_shock``; for the rules of Derive ``feeds``; for ``leverage-brackets`` ``leverage``;
        for ``tims`` ``theoretical`` and, as for ``reg-t``, ``with_minimum_equity``; for ``span`` ``arrays``
        and ``sigma``; for ``simm`` ``buckets``;
        ``parameters`` for sets of the caller's own.

    Returns
    -------
    rule
        An object with ``requirement`` and ``line_im_equity``; its class says which options it has.

    Raises
    ------
    RuleVersionError
        Unknown name, or no parameter set for the date and the variant.
    ParameterError
        Unknown variant or option, or a value out of range.

    Examples
    --------
    >>> rule("deribit-pm", as_of="2026-08-01", stale="warn").variant
    'spm'

    A change of a rule is replayed on one account by its two dates:

    >>> from pmkit.margin import Account
    >>> from pmkit.market import MarketSnapshot
    >>> snap = MarketSnapshot.from_marks("2025-01-01T00:00:00Z", {"BTC": 100_000.0})
    >>> line = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -50_000, "as_of": snap.as_of}
    >>> [round(rule("okx-pm", as_of=day).requirement(Account.from_records([line]), snap).mm, 2)
    ...  for day in ("2025-01-05", "2025-01-06")]
    [76000.0, 61000.0]
    """
    if name not in _RULES:
        raise RuleVersionError(f"unknown rule {name!r}", f"one of {', '.join(_RULES)}", "correct the name")
    kind = _VARIANTS.get((name, variant), _RULES[name])
    given: dict[str, Any] = {"stale": stale}
    if as_of is not None:
        given["as_of"] = parse_utc(as_of)
    if variant is not None:
        given["variant"] = variant
    own = [
        f.name for f in fields(kind) if f.init and f.name not in ("variant", "as_of", "stale", "overrides")
    ]
    overrides = {}
    for option, value in options.items():
        if option in own:
            given[option] = value
        elif issubclass(kind, MeasureRule) and option in kind.option_names():
            overrides[option] = value
        else:
            known = [*own, *(kind.option_names() if issubclass(kind, MeasureRule) else ())]
            raise ParameterError(
                f"unknown option {option!r} of {name}", f"one of {', '.join(known)}", "correct or remove it"
            )
    if overrides:
        given["overrides"] = overrides
    made = kind(**given)
    _check_date(made)
    return made


def _check_date(made: RuleBase) -> None:
    """Raise at once where no underlying has a set for the date; a stale one is warned about in its use."""
    if made.as_of is None:
        return
    sets = load_parameter_sets(made.name) if made.parameters is None else made.parameters
    names = list(dict.fromkeys(name for s in sets if s.variant == made.variant for name in s.tables))
    refusals: list[RuleVersionError] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StaleParametersWarning)
        for name in names:
            try:
                select_set(
                    sets, made.as_of, made.variant, underlying=None if name == "*" else name, stale=made.stale
                )
            except RuleVersionError as refusal:
                refusals.append(refusal)
    if refusals and len(refusals) == len(names):
        raise refusals[0]
