"""What every result can do: a small frame, a tidy frame, a JSON-ready dict, and a deterministic display."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Result", "format_number", "jsonable"]


def format_number(value: float, digits: int = 8) -> str:
    """Return ``value`` with at most ``digits`` significant digits and thousands separators.

    Examples
    --------
    >>> format_number(1234567.891), format_number(0.062843130981)
    ('1,234,567.9', '0.062843131')
    """
    if not math.isfinite(value):
        return str(value)
    rounded = float(f"{value:.{digits}g}")
    if rounded == 0.0:
        return "0"
    if 1e-5 <= abs(rounded) < 1e15:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
        text = f"{rounded:,.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{rounded:.{digits}g}"


def jsonable(value: Any) -> Any:
    """Return ``value`` made of plain dict, list, str, int, float, bool, None; NaN and infinity become None.

    Examples
    --------
    >>> jsonable({"ratio": float("inf"), "n": (1, 2)})
    {'ratio': None, 'n': [1, 2]}
    """
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(item) for item in value]
    if isinstance(value, (bool, str, int)) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    return str(value)


class Result:
    """Mixin of every result object; subclasses provide :meth:`to_frame` and :meth:`summary`.

    ``repr`` and HTML come from :meth:`summary`, so they hold no addresses, clock times or paths.
    """

    #: keys of ``book/refs.bib`` that a reader should cite for this result
    references: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """Return the small frame that a reader sees first."""
        raise TypeError(f"{type(self).__name__} has no summary")

    def to_frame(self) -> pd.DataFrame:
        """Return the tidy frame with every number of the result."""
        return self.summary()

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain, JSON-ready Python objects."""
        frame = self.to_frame()
        record: dict[str, Any] = jsonable(frame.reset_index().to_dict(orient="list"))
        return record

    def check(self) -> None:
        """Raise PmkitError where an identity of the result fails; a result without identities passes."""

    def cite(self) -> tuple[str, ...]:
        """Return the keys of the papers and documents behind the numbers."""
        return self.references

    def __repr__(self) -> str:
        return f"{type(self).__name__}\n{self.summary().to_string()}"

    def _repr_html_(self) -> str:
        return f"<h4>{type(self).__name__}</h4>{self.summary().to_html()}"
