"""Errors and warnings: one class per reason, every message says what, where, expected and remedy.

Misuse raises a :class:`PmkitError`. A number that is usable although an assumption bent comes with a
:class:`PmkitWarning`. Numerical outcomes of a legal request are neither: they are a status per element
(see :mod:`pmkit.core.status`).
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = [
    "ArbitrageError",
    "ConventionError",
    "DataGapError",
    "HistoryEndsWarning",
    "LookAheadError",
    "LotWarning",
    "MarkSourceWarning",
    "ObligationWarning",
    "OptionalDependencyError",
    "ParameterError",
    "PmkitError",
    "PmkitWarning",
    "RuleVersionError",
    "SchemaError",
    "SmallSampleWarning",
    "StaleAccountWarning",
    "StaleParametersWarning",
    "SuspectPriceWarning",
    "ThinTailError",
    "ThinTailWarning",
    "WorkerLostWarning",
]


class PmkitError(Exception):
    """Base of every error that pmkit raises on purpose.

    Parameters
    ----------
    found : str
        What was found, with value and unit.
    expected : str
        What would have been accepted.
    remedy : str
        What the caller can do about it.
    file, row, column : optional
        Where. ``row`` counts lines of the file, the header being line 1.

    Examples
    --------
    >>> from pmkit.core.errors import SchemaError
    >>> print(SchemaError("qty is 'abc'", "a finite number", "correct the cell", file="a.csv", row=3))
    a.csv, row 3: qty is 'abc'; expected a finite number; remedy: correct the cell
    """

    def __init__(
        self,
        found: str,
        expected: str,
        remedy: str,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
    ) -> None:
        self.found, self.expected, self.remedy = found, expected, remedy
        self.file, self.row, self.column = file, row, column
        place = [str(file)] if file is not None else []
        place += [f"row {row}"] if row is not None else []
        place += [f"column {column!r}"] if column is not None else []
        where = f"{', '.join(place)}: " if place else ""
        super().__init__(f"{where}{found}; expected {expected}; remedy: {remedy}")

    def __reduce__(self) -> tuple[Callable[..., PmkitError], tuple[object, ...]]:
        parts = (self.found, self.expected, self.remedy, self.file, self.row, self.column)
        return _rebuilt, (type(self), *parts)


def _rebuilt(
    kind: type[PmkitError],
    found: str,
    expected: str,
    remedy: str,
    file: str | None,
    row: int | None,
    column: str | None,
) -> PmkitError:
    """Return an error that came out of a worker process as it was raised there."""
    return kind(found, expected, remedy, file=file, row=row, column=column)


class SchemaError(PmkitError, ValueError):
    """A table or file does not have the promised shape, columns or values."""


class ConventionError(PmkitError, ValueError):
    """Units, signs, time zones, settlement or currencies do not agree."""


class ParameterError(PmkitError, ValueError):
    """An argument or a parameter file holds a value outside its domain."""


class DataGapError(PmkitError, LookupError):
    """Data that the calculation needs are absent or too short."""


class ThinTailError(DataGapError):
    """Too few independent history observations lie beyond the level to say anything about it."""


class ArbitrageError(PmkitError, ValueError):
    """Quotes or a surface admit static arbitrage where that is not allowed."""


class LookAheadError(PmkitError, RuntimeError):
    """A calculation would use information from after its own date."""


class RuleVersionError(PmkitError, LookupError):
    """No parameter set of a rule covers the date that was asked for."""


class OptionalDependencyError(PmkitError, ImportError):
    """A feature needs a package that is not installed."""


class PmkitWarning(UserWarning):
    """Base of every warning that pmkit issues."""


class ThinTailWarning(PmkitWarning):
    """The tail figure rests on few independent history observations."""


class StaleParametersWarning(PmkitWarning):
    """The parameter set of a rule is used after the last date on which it was observed."""


class HistoryEndsWarning(PmkitWarning):
    """The price history ends before the snapshot it is applied to."""


class LotWarning(PmkitWarning):
    """A quantity is not a whole number of lots of its contract."""


class MarkSourceWarning(PmkitWarning):
    """A contract that is held has no usable quote of its own, so its mark comes from elsewhere."""


class ObligationWarning(PmkitWarning):
    """An obligation of the account is no part of the rule that was asked."""


class StaleAccountWarning(PmkitWarning):
    """Positions, market and parameters are of different days."""


class SuspectPriceWarning(PmkitWarning):
    """A price looks like an error of the source, but could be real."""


class SmallSampleWarning(PmkitWarning):
    """A test statistic is far from its limit distribution at this sample size."""


class WorkerLostWarning(PmkitWarning):
    """A worker of a cluster died, and what it was computing was computed again elsewhere."""
