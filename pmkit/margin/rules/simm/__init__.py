"""``simm``: the standard initial margin model of bilateral derivatives, equity: delta, vega, curvature."""

from pmkit.margin.rules.simm.aggregate import Sensitivity, SimmMargin, simm_margin
from pmkit.margin.rules.simm.rule import Simm

__all__ = ["Sensitivity", "Simm", "SimmMargin", "simm_margin"]
