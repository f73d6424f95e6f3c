"""OKX's rules: portfolio margin by risk unit, and the margin of written options."""

from pmkit.margin.rules.okx.pm import OkxPm
from pmkit.margin.rules.okx.standard import OkxStandard
from pmkit.margin.rules.okx.standard_usd import OkxStandardUsd

__all__ = ["OkxPm", "OkxStandard", "OkxStandardUsd"]
