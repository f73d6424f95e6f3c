"""Conformance cases from the JSON shapes of Derive's own test data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from pmkit.core.errors import SchemaError
from pmkit.instruments.contracts import Instrument, Option, Perpetual
from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.margin.accounts.account import Account
from pmkit.margin.conformance.feeds import CollateralFeed, ExpiryFeed, Feeds, UnderlyingFeed
from pmkit.margin.conformance.run import ConformanceCase
from pmkit.margin.engine.expiry_matrix import BASIS_ROW
from pmkit.margin.engine.risk_matrix import percent
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.rule import rule as make_rule
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["DERIVE_READERS", "CaseDraft"]

#: Derive's numbers are integers with eighteen decimals
_UNIT = 10**18
#: instant of cases that give seconds to expiry alone: the first day of the parameter sets
_AS_OF = pd.Timestamp("2026-01-21T00:00:00Z")


class CaseDraft:
    """An account and a market in the making, from a case that gives seconds to expiry."""

    def __init__(self, spots: Mapping[str, float], stable: float) -> None:
        self.spots = dict(spots)
        self.stable = stable
        self.perpetuals: dict[str, float] = {}
        self.forwards: dict[str, dict[str, float]] = {}
        self.vols: dict[str, float] = {}
        self.feeds: dict[tuple[str, pd.Timestamp], ExpiryFeed] = {}
        self.underlyings: dict[str, UnderlyingFeed] = {}
        self.balances: dict[str, float] = {}
        self.prices: dict[str, CollateralFeed] = {}
        self.held: dict[str, tuple[Instrument, float]] = {}

    @staticmethod
    def expiry(seconds: float) -> pd.Timestamp:
        """Return the instant that lies so many seconds ahead."""
        return _AS_OF + pd.Timedelta(seconds=float(seconds))

    def add_expiry(self, underlying: str, seconds: float, forward: float, feed: ExpiryFeed) -> None:
        """Add the forward and the feed of an expiry; the lowest vol confidence of its strikes counts."""
        at = self.expiry(seconds)
        self.forwards.setdefault(underlying, {})[at.isoformat()] = forward
        old = self.feeds.get((underlying, at))
        lowest = feed.vol_confidence if old is None else min(old.vol_confidence, feed.vol_confidence)
        self.feeds[underlying, at] = feed._replace(vol_confidence=lowest)

    def add_option(
        self, underlying: str, seconds: float, strike: float, is_call: bool, qty: float, iv: float
    ) -> None:
        """Add an option; lines of one contract are added up and must agree on its vol."""
        side = "C" if is_call else "P"
        name = f"{underlying}-{float(seconds):.0f}s-{strike:.15g}-{side}"
        if self.vols.setdefault(name, iv) != iv:
            raise SchemaError(
                f"{name} has the vols {self.vols[name]:g} and {iv:g}",
                "one vol a contract",
                "correct the case",
            )
        option = Option(
            name=name, underlying=underlying, settlement="linear", settlement_currency="USDC",
            multiplier=1.0, lot=1e-9, expiry=self.expiry(seconds), strike=strike, is_call=is_call,
        )  # fmt: skip
        _, before = self.held.get(name, (option, 0.0))
        self.held[name] = (option, before + qty)

    def add_perpetual(self, underlying: str, qty: float, price: float) -> None:
        """Add the perpetual of an underlying; its profit not settled is booked as cash by the caller."""
        self.perpetuals[underlying] = price
        perpetual = Perpetual(
            name=f"{underlying}-PERPETUAL", underlying=underlying, settlement="linear",
            settlement_currency="USDC", multiplier=1.0, lot=1e-9,
        )  # fmt: skip
        self.held[perpetual.name] = (perpetual, qty)

    def case(
        self, name: str, rule: str, parameters: ParameterSet, tolerance: float, **expected: Any
    ) -> ConformanceCase:
        """Return the finished case."""
        positions = tuple(Position(instrument=i, qty=q) for i, q in self.held.values())
        feeds = Feeds(
            stable=self.stable, underlyings=self.underlyings, expiries=self.feeds, collateral=self.prices
        )
        return ConformanceCase(
            name=name,
            rule=make_rule(rule, variant=parameters.variant, parameters=(parameters,), feeds=feeds),
            account=Account(
                portfolio=Portfolio(positions=positions, as_of=_AS_OF, name=name),
                collateral=self.balances,
                name=name,
            ),
            snapshot=MarketSnapshot.from_marks(
                _AS_OF,
                self.spots,
                forwards=self.forwards,
                option_iv=self.vols,
                perpetual=self.perpetuals,
            ),
            convention="net margin",
            tolerance=tolerance,
            **expected,
        )


def _reference(rule: str) -> ParameterSet:
    return next(s for s in load_parameter_sets(rule) if s.variant == "reference")


def _unit(value: Any) -> float:
    return float(value / _UNIT)


def _pmrm_v1(name: str, record: Mapping[str, Any], rule: str) -> ConformanceCase:
    """Return a case of the first generation: integers of eighteen decimals, forwards in two parts."""
    given, result = record["Scenario"], record["Result"]
    coin = "ETH"
    draft = CaseDraft({coin: _unit(given["SpotPrice"])}, _unit(given["StablePrice"]))
    draft.underlyings[coin] = UnderlyingFeed(_unit(given["SpotConfidence"]), _unit(given["PerpConfidence"]))
    for i, seconds in enumerate(given["OptionExpiries"]):
        fixed = _unit(given["ForwardsFixed"][i])
        feed = ExpiryFeed(
            _unit(given["Rates"][i]),
            _unit(given["ForwardConfidences"][i]),
            _unit(given["RateConfidences"][i]),
            _unit(given["OptionVolConfidences"][i]),
            fixed,
        )
        draft.add_expiry(coin, seconds, _unit(given["ForwardsVariable"][i]) + fixed, feed)
        draft.add_option(
            coin, seconds, _unit(given["OptionStrikes"][i]), bool(given["OptionIsCall"][i]),
            _unit(given["OptionAmounts"][i]), _unit(given["OptionVols"][i]),
        )  # fmt: skip
    if given["Perps"]:
        draft.add_perpetual(coin, _unit(given["Perps"]), _unit(given["PerpPrice"]))
    cash = [given[key] for key in ("Cash", "UnrealisedPerpPNL", "UnrealisedFunding")]
    draft.balances["USDC"] = _unit(sum(cash))
    if given["Base"]:
        draft.balances[coin] = _unit(given["Base"])
        draft.prices[coin] = CollateralFeed(draft.spots[coin], _unit(given["SpotConfidence"]))
    return draft.case(
        name, rule, _reference(rule), 1e-9,
        im=_unit(result["InitialMarginCalc"]), mm=_unit(result["MaintenanceMarginCalc"]),
        worst=_unit(min(result["MinSpan"], result["ForwardContingency"])),
    )  # fmt: skip


#: our key for each of theirs, by group
_V2_KEYS = {
    "SkewShock": {
        "LINEAR_SCALE_CAP": "linear_base_cap", "LINEAR_CBASE": "linear_root_cap",
        "ABS_SCALE_CAP": "abs_base_cap", "ABS_CBASE": "abs_root_cap", "MIN_K_STAR": "min_k_star",
        "MIN_WIDTH_SCALE": "width_scale", "VOL_PARAM_STATIC": "vol_param_static",
        "VOL_PARAM_SCALE": "vol_param_scale",
    },
    "VolShock": {
        "VOLRANGEUP": "volatility_range_up", "MIN_VOL_EVAL_SHOCKED": "min_volatility_for_shock_up",
        "VOLRANGEDOWN": "volatility_range_down", "SHORTTERMPOWER": "short_term_vega_power",
        "LONGTERMPOWER": "long_term_vega_power", "DTE_FLOOR": "vega_floor_days",
    },
    "Margin": {
        "MM_LOSS_FACTOR": "mm_factor", "IM_LOSS_FACTOR": "im_factor",
        "SHORT_RATE_MULTSCALE": "short_rate_mult",
        "LONG_RATE_MULTSCALE": "long_rate_mult", "SHORT_RATE_ADDSCALE": "short_rate_add",
        "LONG_RATE_ADDSCALE": "long_rate_add", "BASE_STATIC_DISCOUNT": "long_discount",
        "BASE_STATIC_DISCOUNT_NEG": "short_discount",
    },
    "OtherContingency": {
        "PEG_LOSS_THRESHOLD": "peg_loss_threshold", "PEG_LOSS_FACTOR": "peg_loss_factor",
        "CONF_THRESHOLD": "confidence_threshold", "CONF_MARGIN": "confidence_margin",
        "MM_PERP_PERCENT": "mm_perp_percent", "IM_PERP_PERCENT": "im_perp_percent",
        "MM_OPTION_PERCENT": "mm_option_percent", "IM_OPTION_PERCENT": "im_option_percent",
    },
}  # fmt: skip
_V2_WORDS = {"Up": "up", "Down": "down", "None": "same", "LINEAR": "linear skew", "ABS": "abs skew"}


def _v2_parameters(given: Mapping[str, Any], collaterals: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parameters of a case under our names."""
    values: dict[str, Any] = {
        ours: float(given[group][theirs])
        for group, names in _V2_KEYS.items()
        for theirs, ours in names.items()
    }
    basis = given["BasisContingency"]
    values |= {
        "basis_move_up": round(basis["SCENARIO_SPOT_UP"] - 1.0, 12),
        "basis_move_down": round(basis["SCENARIO_SPOT_DOWN"] - 1.0, 12),
        "basis_add_factor": basis["BASIS_CONT_ADD_FACTOR"],
        "basis_mult_factor": basis["BASIS_CONT_MULT_FACTOR"],
        "scenarios": [
            (round(s["SpotShock"] - 1.0, 12), _V2_WORDS[s["VolShockDirection"]], s["DampeningFactor"])
            for s in given["Scenarios"]
        ],
        "collateral": {
            c["Name"]: {
                "mm_haircut": c["MMHaircut"],
                "im_haircut": c["IMHaircut"],
                "moves_with_spot": c["IsRiskCancelling"],
            }
            for c in collaterals
        },
    }
    return values


def _pmrm_v2(name: str, record: Mapping[str, Any], rule: str) -> ConformanceCase:
    """Return a case of the second generation: plain numbers, with the parameters of the case."""
    given, result = record["Scenario"], record["Result"]
    spot = float(given["SpotPrice"])
    # the cases do not name the coin, and nothing depends on its name
    coin = "BTC" if spot > 10_000.0 else "ETH"
    draft = CaseDraft({coin: spot}, float(given["StablePrice"]))
    held = float(given["NumPerps"])
    draft.underlyings[coin] = UnderlyingFeed(
        float(given["SpotConfidence"]), float(given["PerpConfidence"]) if held else 1.0
    )
    for at in given["OptionFeeds"]:
        feed = ExpiryFeed(
            at["Rate"], at["ForwardConfidence"], at["RateConfidence"], at["OptionVolConfidences"]
        )
        draft.add_expiry(coin, at["FeedExpiry"], at["Forward"], feed)
    for o in given["Options"]:
        draft.add_option(coin, o["Expiry"], o["Strike"], bool(o["IsCall"]), o["Amount"], o["MarkVol"])
    if held:
        draft.add_perpetual(coin, held, float(given["PerpPrice"]))
    draft.balances["USDC"] = given["Cash"] + given["UnrealisedPerpPNL"] + given["UnrealisedFunding"]
    for c in given["Collaterals"]:
        draft.balances[c["Name"]] = draft.balances.get(c["Name"], 0.0) + c["Amount"]
        draft.prices[c["Name"]] = CollateralFeed(c["Price"], c["Confidence"])
    parameters = _reference(rule).with_values(
        coin, **_v2_parameters(record["Parameters"], given["Collaterals"])
    )
    worst = {
        "regular": result["worst_reg_loss"],
        "tail": result["worst_tail_loss"],
        "skew": result["worst_skew_loss"],
        "fwd_contingency": result["ForwardContingency"],
    }
    return draft.case(
        name, rule, parameters, 1e-9, im=result["IM"], mm=result["MM"],
        worst=float(worst[result["worst_all_scenarios"]]), worst_name=_v2_worst(result),
    )  # fmt: skip


def _v2_worst(result: Mapping[str, Any]) -> str:
    """Return our name of the scenario that the case names as the worst."""
    kind = result["worst_all_scenarios"]
    if kind == "fwd_contingency":
        return BASIS_ROW
    if kind == "skew":
        return _V2_WORDS[result["worst_skew_scenario"]]
    move, vol, *_ = result["worst_tail_scenario" if kind == "tail" else "worst_reg_scenario"]
    word = {1: "up", 0: "same", -1: "down"}[int(vol)]
    return f"{percent(round(move, 12))}{' tail' if kind == 'tail' else ''}, vol {word}"


def _srm(name: str, record: Mapping[str, Any], rule: str) -> ConformanceCase:
    """Return a case of the standard margin: integers of eighteen decimals, two underlyings."""
    given, result = record["Scenario"], record["Result"]
    names = ("ETH", "BTC")
    draft = CaseDraft({n: _unit(given[f"{n}SpotPrice"]) for n in names}, _unit(given["USDCValue"]))
    cash = [_unit(given["Cash"])]
    for at, coin in enumerate(names):
        spot, perpetual = given["SpotPerpConfidences"][at]
        draft.underlyings[coin] = UnderlyingFeed(_unit(spot), _unit(perpetual))
        held = _unit(given[f"Perps_{coin}"])
        if held:
            price = _unit(given["PerpPrice"][at])
            draft.add_perpetual(coin, held, price)
            index = _unit(given[f"{coin}GlobalFundingIndex"]) - _unit(given[f"Account{coin}FundingIndex"])
            cash += [held * (price - _unit(given[f"LastEntry{coin}"])), -held * index]
        if given[f"w{coin}"]:
            draft.balances[coin] = _unit(given[f"w{coin}"])
    draft.balances["USDC"] = math.fsum(cash)
    several = len(set(given["OptionExpiries"])) > 1
    for i, coin in enumerate(given["OptionUnderlying"]):
        seconds = given["OptionExpiries"][i]
        settled = f"SettlementPrice{coin}"
        feed = ExpiryFeed(
            _unit(given["Discounts"][i]),
            _unit(given["ForwardConfidences"][i]),
            _unit(given["DiscountConfidences"][i]),
            _unit(given["OptionVolConfidences"][i]),
        )
        # the settlement price is that of the only expiry; with several each has its forward
        draft.add_expiry(coin, seconds, _unit(given["Forwards"][i] if several else given[settled]), feed)
        draft.add_option(
            coin, seconds, _unit(given["OptionStrikes"][i]), bool(given["OptionIsCall"][i]),
            _unit(given["OptionAmounts"][i]), _unit(given["OptionVols"][i]),
        )  # fmt: skip
    return draft.case(
        name, rule, _reference(rule), 1e-9, im=_unit(result["realIM"]), mm=_unit(result["realMM"])
    )


#: reader of a case by rule
DERIVE_READERS: dict[str, Callable[[str, Mapping[str, Any], str], ConformanceCase]] = {
    "derive-pmrm-v1": _pmrm_v1,
    "derive-pmrm-v2": _pmrm_v2,
    "derive-srm": _srm,
}
