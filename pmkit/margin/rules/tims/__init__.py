"""``tims``: the ten points of customer portfolio margin, groups with offsets, minimum per contract."""

from pmkit.margin.rules.tims.groups import GroupCharge, group_vector, scan_group
from pmkit.margin.rules.tims.rule import Tims

__all__ = ["GroupCharge", "Tims", "group_vector", "scan_group"]
