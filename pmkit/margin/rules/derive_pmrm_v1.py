"""``derive-pmrm-v1`` (clauses DV1): scenarios by expiry with one static discount."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.margin.accounts.account import Account
from pmkit.margin.conformance.feeds import CollateralFeed, ExpiryFeed
from pmkit.margin.engine.expiry_many import SharedExpiryRule
from pmkit.margin.engine.expiry_matrix import (
    Amounts,
    ExpiryMatrixBook,
    HeldBook,
)
from pmkit.margin.engine.expiry_options import shocked_vols
from pmkit.margin.engine.risk_matrix import ExpiryOptions, ExpiryTransform
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Step
from pmkit.margin.schemas import PmrmV1Parameters
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["DerivePmrmV1"]


@dataclass(frozen=True, kw_only=True)
class _BookV1(ExpiryMatrixBook):
    table: PmrmV1Parameters
    prefix: ClassVar[str] = "DV1"

    def finish(self, held: HeldBook) -> Amounts:
        t = self.table
        base = math.fsum(held.amounts)
        addons = {
            "perpetual contingency": self.spot * t.perp_percent * abs(held.perpetuals),
            "base contingency": self.spot * t.base_percent * base,
            "option contingency": self.spot * t.option_percent * held.naked,
        }
        doubt = math.fsum(self.doubt(held, abs(held.perpetuals) + base))
        factor = t.im_factor + self.peg_loss(t)
        loss = math.fsum(addons.values()) - held.worst.pnl
        addons["confidence contingency"] = doubt
        return Amounts(loss * factor + doubt, loss, addons, factor, {})

    def last_steps(self, held: HeldBook, found: Amounts) -> list[Step]:
        keys: dict[str, tuple[int, tuple[str, ...]]] = {
            "perpetual contingency": (9, ("perp_percent",)),
            "base contingency": (9, ("base_percent",)),
            "option contingency": (9, ("option_percent",)),
            "confidence contingency": (10, ("confidence_threshold", "confidence_margin")),
        }
        steps = [self.step(c, name, found.addons[name], *of) for name, (c, of) in keys.items()]
        return [
            *steps,
            self.step(12, "initial factor", found.factor, "im_factor", "peg_loss_factor", unit="1"),
        ]


@dataclass(frozen=True, kw_only=True)
class DerivePmrmV1(SharedExpiryRule):
    """Derive's first portfolio margin: one underlying, its options, perpetual and base asset, in USD.

    Notes
    -----
    ``net IM = m (min(basis, worst scenario) - static) - confidence + equity``, ``m`` the initial factor with
    the loss of the peg; maintenance without factor and confidence. Variant ``reference`` carries the
    parameters of the published test cases, ``mainnet`` those of the deployment.
    """

    name: ClassVar[str] = "derive-pmrm-v1"
    collateral_treatment: ClassVar[str] = "revalued"
    money_clauses: ClassVar[tuple[str, str]] = ("DV1-11", "DV1-12")

    variant: str = "mainnet"

    def eligible(self, underlying: str, parameters: ParameterSet) -> tuple[str, ...]:
        """Return the base asset."""
        return (underlying,)

    def book(
        self, account: Account, balances: Mapping[str, CollateralFeed], snapshot: MarketSnapshot,
        parameters: ParameterSet, underlyings: tuple[str, ...],
    ) -> _BookV1:  # fmt: skip
        """Return the account revalued over the scenarios."""
        common = self.common(account, balances, snapshot, parameters, underlyings[0])
        moving = np.ones(len(balances), dtype=bool)
        return _BookV1(**common, moving=moving, table=parameters.table(underlyings[0]))

    def vols(self, options: ExpiryOptions, words: Sequence[str], table: PmrmV1Parameters) -> FloatArray:
        """Return the vols after the shocks, without a floor."""
        return shocked_vols(options, words, table, floor=0.0)

    def transform(
        self, options: ExpiryOptions, words: Sequence[str], feed: ExpiryFeed, table: PmrmV1Parameters
    ) -> ExpiryTransform:
        """Return the static discount of what an expiry is worth; a debt stays as it is."""
        rate = feed.rate * table.rate_mult + table.rate_add
        static = table.static_discount * math.exp(-options.tau * rate)

        def transformed(shocked: FloatArray, mark: float | FloatArray) -> FloatArray:
            return np.where(shocked > 0.0, shocked * static, shocked) - mark

        return transformed
