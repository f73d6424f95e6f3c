"""Deribit's portfolio margin: of a segregated account, and an illustration of the cross-collateral one."""

from pmkit.margin.rules.deribit_pm.rule import DeribitPm
from pmkit.margin.rules.deribit_pm.spm import charge_above_threshold, one_sided_delta
from pmkit.margin.rules.deribit_pm.xpm import DeribitXpm

__all__ = ["DeribitPm", "DeribitXpm", "charge_above_threshold", "one_sided_delta"]
