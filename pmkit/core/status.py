"""Status codes of numerical outcomes: a legal request may fail for one element without an exception."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Status"]


class Status(IntEnum):
    """Outcome of one element of a calculation; ``OK`` is zero so that ``status.any()`` finds trouble.

    Examples
    --------
    >>> Status.BELOW_INTRINSIC.label
    'below_intrinsic'
    """

    OK = 0
    AT_BOUND = 1
    NOT_CONVERGED = 2
    BELOW_INTRINSIC = 3
    ABOVE_BOUND = 4
    TOO_FEW_POINTS = 5
    REPAIRED = 6
    NO_INFORMATION = 7
    INVALID_INPUT = 8

    @property
    def label(self) -> str:
        """The name used in tables."""
        return self.name.lower()
