"""Which parameter table each variant of each rule must hold."""

from __future__ import annotations

from pmkit.margin.schemas.base import ParameterTable
from pmkit.margin.schemas.collateral import CollateralTierParameters
from pmkit.margin.schemas.deribit import (
    ClassicParameters,
    RiskMatrixParameters,
    StandardParameters,
    XpmParameters,
)
from pmkit.margin.schemas.derive import PmrmV1Parameters, PmrmV2Parameters, SrmParameters
from pmkit.margin.schemas.listed import SpanParameters, StrategyParameters, TimsParameters
from pmkit.margin.schemas.measure import ExpectedShortfallParameters, HistoricalVarParameters
from pmkit.margin.schemas.measure_design import MeasureDesignParameters
from pmkit.margin.schemas.okx import OkxPmParameters, OkxStandardParameters
from pmkit.margin.schemas.perpetual_venues import (
    BracketParameters,
    HyperliquidParameters,
    ParadexParameters,
)
from pmkit.margin.schemas.simm import SimmParameters

__all__ = ["SCHEMAS"]

#: parameter table by rule and variant
SCHEMAS: dict[str, dict[str, type[ParameterTable]]] = {
    "collateral": dict.fromkeys(("okx", "bybit", "binance", "kraken", "deribit"), CollateralTierParameters),
    "deribit-pm": {"spm": RiskMatrixParameters, "classic": ClassicParameters, "xpm": XpmParameters},
    "deribit-standard": {"standard": StandardParameters},
    "derive-pmrm-v1": {"mainnet": PmrmV1Parameters, "reference": PmrmV1Parameters},
    "derive-pmrm-v2": {"mainnet": PmrmV2Parameters, "reference": PmrmV2Parameters},
    "derive-srm": {"mainnet": SrmParameters, "reference": SrmParameters},
    "es-fhs": {"base": ExpectedShortfallParameters},
    "hyperliquid-pm": {"alpha": HyperliquidParameters, "pre-alpha": HyperliquidParameters},
    "leverage-brackets": {"illustrative": BracketParameters},
    "measure-design": dict.fromkeys(("stans", "prisma", "irm-2", "span-2"), MeasureDesignParameters),
    "okx-pm": {"unified": OkxPmParameters},
    "okx-standard": {"coin": OkxStandardParameters},
    "okx-standard-usd": {"usd": OkxStandardParameters},
    "paradex-pm": {"funding": ParadexParameters, "fee": ParadexParameters},
    "reg-t": {"margin-account": StrategyParameters},
    "simm": {"equity-10d": SimmParameters},
    "span": dict.fromkeys(("cme", "nse"), SpanParameters),
    "tims": dict.fromkeys(("customer", "broker-dealer", "market-maker"), TimsParameters),
    "var-hs": {"base": HistoricalVarParameters},
}
