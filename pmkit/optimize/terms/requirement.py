"""Initial and maintenance margin of a rule as terms, for the rules that are programmes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.instruments import Instrument, Option
from pmkit.margin import Account
from pmkit.margin.engine.listed_rule import marks_of
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import AnyRule
from pmkit.margin.rules.deribit_pm import DeribitPm
from pmkit.margin.rules.derive_pmrm_v2 import DerivePmrmV2
from pmkit.margin.rules.okx.pm import OkxPm
from pmkit.margin.rules.paradex_pm import ParadexPm
from pmkit.margin.rules.reg_t import RegT
from pmkit.margin.rules.span import Span
from pmkit.margin.rules.tims import Tims
from pmkit.margin.schemas import RiskMatrixParameters
from pmkit.optimize.linear.model import Affine
from pmkit.optimize.rules.deribit import encode_deribit
from pmkit.optimize.rules.deribit_shock import ShockRegion
from pmkit.optimize.rules.derive import encode_derive
from pmkit.optimize.rules.okx import encode_okx
from pmkit.optimize.rules.paradex import encode_paradex
from pmkit.optimize.rules.reg_t import encode_reg_t
from pmkit.optimize.rules.shared import coins_of, ones
from pmkit.optimize.rules.span import encode_span, span_credits_left_out
from pmkit.optimize.rules.tims import encode_tims
from pmkit.optimize.terms.base import Outcome, Term, Workspace, quietly

__all__ = ["Requirement", "Which", "optimisable_rules"]

Which = Literal["im", "mm", "im_equity"]
_Kind = DeribitPm | ParadexPm | DerivePmrmV2 | Tims | OkxPm | Span | RegT
_KINDS = (DeribitPm, ParadexPm, DerivePmrmV2, Tims, OkxPm, Span, RegT)


def optimisable_rules() -> tuple[str, ...]:
    """Return the names of the rules that :class:`Requirement` takes.

    Examples
    --------
    >>> optimisable_rules()
    ('deribit-pm', 'paradex-pm', 'derive-pmrm-v2', 'tims', 'okx-pm', 'span', 'reg-t')
    """
    return tuple(kind.name for kind in _KINDS)


@dataclass(frozen=True)
class Requirement(Term):
    """Margin that a rule asks for, in its numeraire: a coin under ``deribit-pm``, INR or USD else.

    Attributes
    ----------
    rule : rule
        From :func:`pmkit.margin.rule`: ``deribit-pm`` (``spm``, ``classic``), ``paradex-pm``,
        ``derive-pmrm-v2``, ``tims``, ``okx-pm``, ``span`` or ``reg-t``.
    which : {"im", "mm", "im_equity"}
        Initial or maintenance margin, or what of equity the initial margin takes: under the rules that charge
        cash (``span``, ``reg-t``) the premium of options is in it, so that buying them is not free.
    region : ShockRegion, optional
        Signs inside which the delta shock of ``deribit-pm`` is exact; set by the search, not by callers.

    Raises
    ------
    ParameterError
        A rule that is no programme, named with the reason.

    Notes
    -----
    Exact as linear programmes: ``deribit-pm`` (worst entry with its dampener, roll shock, contingencies of
    the older variant), ``paradex-pm`` and ``tims``; ``derive-pmrm-v2`` with one binary for each skew row of
    an expiry whose static discounts differ, and with oracles trusted in full. Exact as mixed-integer
    programmes, for which the legs need finite limits: ``okx-pm`` (offsets of vegas and of stablecoin deltas,
    coins in use), ``span`` (spreads of months) and ``reg-t`` (the pairing of what is held, in whole
    contracts). Two parts are not: the delta shock of ``deribit-pm``, searched region by region, and the
    credits across commodities of ``span``. Both are left out of the programme, which then bounds the
    requirement from below; what is left out is brought down by a local search, and the gap to the bound is
    reported. A limit is tightened by what is left out of it until the rule itself keeps to it.

    References
    ----------
    Rudd and Schroeder (1982), for the pairing.
    """

    rule: AnyRule
    which: Which = "im"
    region: ShockRegion | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.which not in ("im", "mm", "im_equity"):
            raise ParameterError(
                f"which is {self.which!r}", "'im', 'mm' or 'im_equity'", "name one of the three"
            )
        if not isinstance(self.rule, _KINDS):
            name = getattr(self.rule, "name", type(self.rule).__name__)
            if name in optimisable_rules():
                name = f"variant {self.rule.variant!r} of {name}"
            raise ParameterError(
                f"{name} cannot be optimised: it is not written as a programme here",
                f"one of {', '.join(optimisable_rules())}",
                "minimise an expected shortfall with Shortfall(cube), or use one of these rules",
            )

    @property
    def label(self) -> str:
        """Name in tables and messages."""
        return f"{self.which.upper().replace('_', ' ')} {self.rule.name} {self.rule.variant}".strip()

    @property
    def unit(self) -> str:
        """The numeraire, which depends on the contracts: see :meth:`numeraire`."""
        return "numeraire"

    def numeraire(self, instruments: Sequence[Instrument], account: Account) -> str:
        """Return the currency of the amount: the coin where a coin rule sees one alone, else the rule's."""
        if isinstance(self.rule, Span):
            return self.rule.currency
        coins = coins_of(instruments, account)
        return coins[0] if isinstance(self.rule, DeribitPm) and len(coins) == 1 else "USD"

    def encode(self, work: Workspace) -> Affine:
        """Return the requirement as an expression of the quantities."""
        rule = cast(_Kind, self.rule)
        with quietly():
            asked = self._asked(rule, work)
            if self.which != "im_equity" or not isinstance(rule, (Span, RegT)):
                return asked
            portfolio = ones(work.instruments, work.account.as_of)
            marks = marks_of(portfolio, work.snapshot)
        values = [i.multiplier * marks[i.name] if isinstance(i, Option) else 0.0 for i in work.instruments]
        return Affine.total([asked, work.held.weighted(np.array(values))])

    def _asked(self, rule: _Kind, work: Workspace) -> Affine:
        match rule:
            case RegT():
                return encode_reg_t(rule, work, self.which)
            case DeribitPm():
                found = encode_deribit(rule, work, self.region)
            case ParadexPm():
                found = encode_paradex(rule, work)
            case Tims():
                found = encode_tims(rule, work)
            case OkxPm():
                found = encode_okx(rule, work)
            case Span():
                found = encode_span(rule, work)
            case DerivePmrmV2():
                found = encode_derive(rule, work)
        return found.mm if self.which == "mm" else found.im

    def cited(self) -> tuple[str, ...]:
        """Return the key of the pairing of strategies under ``reg-t``."""
        return ("rudd1982",) if isinstance(self.rule, RegT) else ()

    def result(self, outcome: Outcome) -> MarginResult | None:
        """Return what the rule itself answers; None for an account without positions and collateral."""
        account = outcome.account
        if not len(account.portfolio) and not any(account.collateral.values()):
            return None
        return self.rule.requirement(account, outcome.snapshot)

    def value(self, outcome: Outcome) -> float:
        """Return what the rule itself asks of the account at the outcome."""
        found = self.result(outcome)
        return 0.0 if found is None else float(getattr(found, self.which)) * self._unit(found, outcome)

    def rounding(self, outcome: Outcome) -> float:
        """Return half a unit of the last place to which the rule rounds its worst case."""
        return sum(
            0.5 * 10.0**-table.worst_case_decimals * unit
            for _, table, unit in self._coins(outcome)
            if table.worst_case_decimals is not None
        )

    def left_out(self, outcome: Outcome) -> float:
        """Return what the programme does not carry: the delta shock, or credits less their most."""
        if isinstance(self.rule, Span):
            return self._credits(outcome)
        coins = [] if self.region is not None else self._coins(outcome)
        found = self.result(outcome) if coins else None
        if found is None:
            return 0.0
        shocks = {p.numeraire: p.addons["delta_shock"] for p in (found.parts.values() or (found,))}
        return sum(
            shocks.get(coin, 0.0) * unit * (table.mm_factor if self.which == "mm" else 1.0)
            for coin, table, unit in coins
        )

    def _credits(self, outcome: Outcome) -> float:
        assert isinstance(self.rule, Span)
        found = self.result(outcome)
        if found is None or not len(outcome.account.portfolio):
            return 0.0
        with quietly():
            parameters = self.rule.parameter_set(outcome.snapshot, outcome.instruments[0].underlying)
        return span_credits_left_out(self.rule, found, outcome.instruments, parameters, self.which)

    def _coins(self, outcome: Outcome) -> list[tuple[str, RiskMatrixParameters, float]]:
        """Return coin, parameters and unit in the numeraire of every matrix of ``spm``; empty otherwise."""
        if not isinstance(self.rule, DeribitPm) or self.rule.variant != "spm":
            return []
        coins = coins_of(outcome.instruments, outcome.account)
        spot = outcome.snapshot.spot
        with quietly():
            return [
                (c, self.rule.parameter_set(outcome.snapshot, c).table(c), spot(c) if len(coins) > 1 else 1.0)
                for c in coins
            ]

    def _unit(self, found: MarginResult, outcome: Outcome) -> float:
        """Return the factor from the result's numeraire to that of the programme."""
        if isinstance(self.rule, DeribitPm) and found.numeraire != "USD":
            several = len(coins_of(outcome.instruments, outcome.account)) > 1
            return outcome.snapshot.spot(found.numeraire) if several else 1.0
        return 1.0
