"""What scenarios cost: full revaluation to a P&L cube, VaR and ES with their errors."""

from pmkit.risk.cube import STABLECOINS, PnLCube
from pmkit.risk.measures import RiskFigure, expected_shortfall, value_at_risk
from pmkit.risk.projected import ShockedCubes, revalue_shocked, surface_shocks
from pmkit.risk.revalue import revalue
from pmkit.risk.tail import tail_check
from pmkit.risk.uncertainty import (
    EstimationError,
    Influence,
    estimation_error,
    leave_one_date_out,
    window_error,
)

__all__ = [
    "STABLECOINS",
    "EstimationError",
    "Influence",
    "PnLCube",
    "RiskFigure",
    "ShockedCubes",
    "estimation_error",
    "expected_shortfall",
    "leave_one_date_out",
    "revalue",
    "revalue_shocked",
    "surface_shocks",
    "tail_check",
    "value_at_risk",
    "window_error",
]
