"""Initial and maintenance margin of a rule as terms, for the rules that are programmes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.instruments import Instrument, Option
from pmkit.margin import Account
from pmkit.margin.accounts.account import STABLECOINS
from pmkit.margin.engine.listed_rule import marks_of
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import AnyRule
from pmkit.margin.rules.deribit_pm import DeribitPm, DeribitXpm
from pmkit.margin.rules.derive_pmrm_v2 import DerivePmrmV2
from pmkit.margin.rules.okx.pm import OkxPm
from pmkit.margin.rules.paradex_pm import ParadexPm
from pmkit.margin.rules.reg_t import RegT
from pmkit.margin.rules.span import Span
from pmkit.margin.rules.tims import Tims
from pmkit.margin.schemas import RiskMatrixParameters
from pmkit.optimize.linear.model import Affine
from pmkit.optimize.rules.deribit import encode_deribit
from pmkit.optimize.rules.deribit_xpm import encode_xpm
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
_Kind = DeribitPm | DeribitXpm | ParadexPm | DerivePmrmV2 | Tims | OkxPm | Span | RegT
_KINDS = (DeribitPm, DeribitXpm, ParadexPm, DerivePmrmV2, Tims, OkxPm, Span, RegT)


def optimisable_rules() -> tuple[str, ...]:
    """Return the names of the rules that :class:`Requirement` takes.

    Examples
    --------
    >>> optimisable_rules()
    ('deribit-pm', 'paradex-pm', 'derive-pmrm-v2', 'tims', 'okx-pm', 'span', 'reg-t')
    """
    return tuple(dict.fromkeys(kind.name for kind in _KINDS))


@dataclass(frozen=True)
class Requirement(Term):
    """Margin that a rule asks for, in its numeraire: a coin under ``deribit-pm``, INR or USD else.

    Attributes
    ----------
    rule : rule
        From :func:`pmkit.margin.rule`: ``deribit-pm`` (``spm``, ``classic``, ``xpm``), ``paradex-pm``,
        ``derive-pmrm-v2``, ``tims``, ``okx-pm``, ``span`` or ``reg-t``.
    which : {"im", "mm", "im_equity"}
        Initial or maintenance margin, or what of equity the initial margin takes: under the rules that charge
        cash (``span``, ``reg-t``) the premium of options is in it, so that buying them is not free.

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
    coins in use), ``span`` (spreads of months), ``reg-t`` (the pairing of what is held, in whole contracts)
    and ``xpm`` (gains of one coin against losses of another beyond the dampener). Two parts are taken only
    where a solution without them is charged: the delta shock of ``deribit-pm``, exact with binaries for the
    signs of options, the side and the cap, and the credits across commodities of ``span``, a ratio that is
    closed in between cuts until bound and value meet. Where a leg has no limit they are left out: the
    programme then bounds the requirement from below, a local search brings the rest down, and the gap is
    reported. A limit is tightened by what is left out of it until the rule itself keeps to it.

    References
    ----------
    Rudd and Schroeder (1982), for the pairing; McCormick (1976) and Nagarajan et al. (2019), for ratios.
    """

    rule: AnyRule
    which: Which = "im"

    def __post_init__(self) -> None:
        if self.which not in ("im", "mm", "im_equity"):
            raise ParameterError(
                f"which is {self.which!r}", "'im', 'mm' or 'im_equity'", "name one of the three"
            )
        if not isinstance(self.rule, _KINDS):
            name = getattr(self.rule, "name", type(self.rule).__name__)
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
        """The rule's currency, or ``coin`` where it depends on the contracts: see :meth:`unit_for`."""
        if isinstance(self.rule, Span):
            return self.rule.currency
        return "coin" if isinstance(self.rule, DeribitPm) else "USD"

    def unit_for(self, instruments: Sequence[Instrument], account: Account) -> str:
        """Return the numeraire."""
        return self.numeraire(instruments, account)

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
                found = encode_deribit(rule, work)
            case DeribitXpm():
                found = encode_xpm(rule, work)
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
        """Return the keys of the pairing of strategies under ``reg-t`` and of the ratios under ``span``."""
        if isinstance(self.rule, Span):
            return ("mccormick1976", "nagarajan2019")
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
        coins = self._coins(outcome)
        found = self.result(outcome) if coins else None
        if found is None:
            return 0.0
        if isinstance(self.rule, DeribitXpm):
            shocks = {c: found.addons.get(f"{c} delta_shock", 0.0) / unit for c, _, unit in coins}
        else:
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
        """Return coin, parameters and unit in the numeraire of every matrix that has a delta shock."""
        if not isinstance(self.rule, (DeribitPm, DeribitXpm)) or self.rule.variant == "classic":
            return []
        coins = coins_of(outcome.instruments, outcome.account)
        several = len(coins) > 1
        if isinstance(self.rule, DeribitXpm):
            named = (*(i.settlement_currency for i in outcome.instruments), *outcome.account.collateral)
            coins, several = tuple(c for c in dict.fromkeys(named) if c not in STABLECOINS), True
        spot = outcome.snapshot.spot
        with quietly():
            return [
                (c, self.rule.parameter_set(outcome.snapshot, c).table(c), spot(c) if several else 1.0)
                for c in coins
            ]

    def _unit(self, found: MarginResult, outcome: Outcome) -> float:
        """Return the factor from the result's numeraire to that of the programme."""
        if isinstance(self.rule, DeribitPm) and found.numeraire != "USD":
            several = len(coins_of(outcome.instruments, outcome.account)) > 1
            return outcome.snapshot.spot(found.numeraire) if several else 1.0
        return 1.0
