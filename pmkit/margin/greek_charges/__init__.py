"""Requirements from Greeks: net delta, gamma and vega charges, beside what full revaluation says."""

from pmkit.margin.greek_charges.charges import GreekCharges, greek_charges
from pmkit.margin.greek_charges.exposures import exposures

__all__ = ["GreekCharges", "exposures", "greek_charges"]
