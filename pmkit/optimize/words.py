"""Numbers and units in sentences."""

from __future__ import annotations

__all__ = ["number_of", "one_of"]


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun, which takes an s unless there is one.

    Examples
    --------
    >>> number_of(1, "position"), number_of(3, "position"), number_of(0, "leg")
    ('1 position', '3 positions', '0 legs')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def one_of(unit: str) -> str:
    """Return one of a unit, whose plural loses its s.

    Examples
    --------
    >>> one_of("contracts"), one_of("USD"), one_of("USD per vol point"), one_of("")
    ('one contract', 'one USD', 'one USD per vol point', 'one unit')
    """
    plural = unit.endswith("s") and unit.islower()
    return f"one {(unit[:-1] if plural else unit) or 'unit'}"
