"""Stresses: named days of the past, and moves that are set while the rest follows."""

from pmkit.scenarios.stresses.events import StressEvent, list_stresses, stress_event
from pmkit.scenarios.stresses.stress import stress

__all__ = ["StressEvent", "list_stresses", "stress", "stress_event"]
