"""Scenarios that are searched for: the worst of an ellipsoid, and the most likely that exhausts a margin."""

from pmkit.risk.adversarial.ellipsoid import Ellipsoid, scenario_covariance
from pmkit.risk.adversarial.result import FoundScenario
from pmkit.risk.adversarial.reverse import reverse_stress
from pmkit.risk.adversarial.trust_region import QuadraticWorst, delta_gamma_worst
from pmkit.risk.adversarial.worst import worst_scenario

__all__ = [
    "Ellipsoid",
    "FoundScenario",
    "QuadraticWorst",
    "delta_gamma_worst",
    "reverse_stress",
    "scenario_covariance",
    "worst_scenario",
]
