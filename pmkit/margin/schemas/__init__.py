"""What a parameter table of each rule must hold: names, types and ranges, one module a family of rules."""

from pmkit.margin.schemas.base import ParameterTable
from pmkit.margin.schemas.collateral import CollateralTierParameters
from pmkit.margin.schemas.deribit import (
    ClassicParameters,
    RiskMatrixParameters,
    StandardParameters,
    XpmParameters,
)
from pmkit.margin.schemas.derive import (
    CollateralTerms,
    ExpiryMatrixParameters,
    PmrmV1Parameters,
    PmrmV2Parameters,
    SrmParameters,
)
from pmkit.margin.schemas.listed import (
    IntercommoditySpread,
    IntermonthSpread,
    SpanParameters,
    SpreadLeg,
    StrategyParameters,
    TimsParameters,
)
from pmkit.margin.schemas.measure import (
    ExpectedShortfallParameters,
    HistoricalVarParameters,
    MeasureParameters,
)
from pmkit.margin.schemas.measure_design import MeasureDesignParameters
from pmkit.margin.schemas.okx import OkxPmParameters, OkxStandardParameters
from pmkit.margin.schemas.perpetual_venues import (
    BracketParameters,
    BracketRow,
    HyperliquidParameters,
    ParadexParameters,
)
from pmkit.margin.schemas.registry import SCHEMAS
from pmkit.margin.schemas.simm import SimmParameters

__all__ = [
    "SCHEMAS",
    "BracketParameters",
    "BracketRow",
    "ClassicParameters",
    "CollateralTerms",
    "CollateralTierParameters",
    "ExpectedShortfallParameters",
    "ExpiryMatrixParameters",
    "HistoricalVarParameters",
    "HyperliquidParameters",
    "IntercommoditySpread",
    "IntermonthSpread",
    "MeasureDesignParameters",
    "MeasureParameters",
    "OkxPmParameters",
    "OkxStandardParameters",
    "ParadexParameters",
    "ParameterTable",
    "PmrmV1Parameters",
    "PmrmV2Parameters",
    "RiskMatrixParameters",
    "SimmParameters",
    "SpanParameters",
    "SpreadLeg",
    "SrmParameters",
    "StandardParameters",
    "StrategyParameters",
    "TimsParameters",
    "XpmParameters",
]
