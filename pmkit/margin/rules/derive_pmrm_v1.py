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
from pmkit.margin.engine.expiry_matrix import (
    ExpiryMatrixBook,
    ExpiryMatrixRule,
    HeldBook,
    naked_shorts,
    shocked_vols,
)
from pmkit.margin.engine.risk_matrix import ExpiryOptions, ExpiryTransform
from pmkit.margin.engine.usd_rule import UsdCharge
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.schemas import PmrmV1Parameters
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["DerivePmrmV1"]


@dataclass(frozen=True, kw_only=True)
class _BookV1(ExpiryMatrixBook):
    table: PmrmV1Parameters
    prefix: ClassVar[str] = "DV1"

    def finish(self, held: HeldBook) -> UsdCharge:
        t = self.table
        base = math.fsum(held.amounts)
        naked = math.fsum(
            naked_shorts(e.options.strike, size) for e, size in zip(self.expiries, held.sizes, strict=True)
        )
        addons = {
            "perpetual contingency": self.spot * t.perp_percent * abs(held.perpetuals),
            "base contingency": self.spot * t.base_percent * base,
            "option contingency": self.spot * t.option_percent * naked,
        }
        static = math.fsum(addons.values())
        doubt = math.fsum(self.doubt(held, abs(held.perpetuals) + base))
        factor = t.im_factor + self.peg_loss(t)
        loss = static - held.worst.pnl
        steps = self.first_steps(held)
        steps += [
            self.step(9, "perpetual contingency", addons["perpetual contingency"], "perp_percent"),
            self.step(9, "base contingency", addons["base contingency"], "base_percent"),
            self.step(9, "option contingency", addons["option contingency"], "option_percent"),
            self.step(10, "confidence contingency", doubt, "confidence_threshold", "confidence_margin"),
            self.step(12, "initial factor", factor, "im_factor", "peg_loss_factor", unit="1"),
        ]
        return self.result(
            held, loss * factor + doubt, loss, {**addons, "confidence contingency": doubt}, steps
        )


@dataclass(frozen=True, kw_only=True)
class DerivePmrmV1(ExpiryMatrixRule):
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

        def transformed(shocked: FloatArray, mark: float) -> FloatArray:
            return np.where(shocked > 0.0, shocked * static, shocked) - mark

        return transformed
