"""A path of implied vols by date and underlying: given by the caller, or made by a law of its own.

No history of crypto option quotes ships with the project. A backtest of options over 2020-2023 is therefore
marked by a model of the world, and that model must not be the one under test: a margin model whose vol moves
are drawn from the law by which the P&L is marked passes by construction. The laws are in ``vol_laws``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, SchemaError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray

__all__ = ["HIGHEST_VOL", "VolPath"]

HIGHEST_VOL = 5.0
"""500 % a year: above it a vol is taken to be in percent."""


@dataclass(frozen=True, kw_only=True, repr=False)
class VolPath(Result):
    """Implied vol of the 30-day tenor by date and underlying, annualised decimal.

    Attributes
    ----------
    frame : DataFrame
        Index of naive days, ascending; one column an underlying.
    label : str
        Origin in words, for titles: ``"base vol-of-vol"``, ``"HAR law"``, or what the caller says.
    simulated : bool
        True where a model made the vols: P&L from them is model-marked.
    assumptions : mapping of str to object
        Every number of the generator; empty for a path that was given.
    skew : DataFrame or None
        Slope of ln(iv) in ln(K/F) at the money, of the shape of ``frame``; None where the smile is flat. The
        smile keeps its place in ln(K/F): what was bought at the money is marked at iv · (S₀/S₁)^skew.
    provenance : Provenance

    Raises
    ------
    SchemaError
        Dates out of order or repeated, no column, values that are not finite numbers, or slopes of another
        shape.
    ConventionError
        A vol that is not positive, or above 5 (looks like percent).
    """

    frame: pd.DataFrame
    label: str
    simulated: bool
    provenance: Provenance
    assumptions: Mapping[str, Any] = field(default_factory=dict)
    skew: pd.DataFrame | None = None
    references: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        index = self.frame.index
        if not isinstance(index, pd.DatetimeIndex) or not (index.is_monotonic_increasing and index.is_unique):
            raise SchemaError(
                "the implied vols have no ascending dates without repetition",
                "a DatetimeIndex of days, ascending and unique",
                "sort by date and drop repeated dates, knowingly",
            )
        if index.tz is not None or not bool((index == index.normalize()).all()):
            raise ConventionError(
                "the dates of the implied vols have clock times or a time zone",
                "naive days, as in a price history",
                "use index.tz_convert(None).normalize() if each vol belongs to the close of its day",
            )
        if self.frame.shape[1] == 0:
            raise SchemaError("the implied vols have no column", "one column an underlying", "add the vols")
        for name in self.frame.columns:
            values = self.frame[name].to_numpy(dtype=np.float64)
            bad = ~np.isfinite(values)
            if bad.any():
                raise SchemaError(
                    f"implied vol of {name} on {index[int(np.argmax(bad))].date()} is no finite number",
                    "one vol a date",
                    "cut the path to dates with vols",
                )
            wrong = (values <= 0.0) | (values > HIGHEST_VOL)
            if wrong.any():
                raise ConventionError(
                    f"implied vol of {name} on {index[int(np.argmax(wrong))].date()} is "
                    f"{values[int(np.argmax(wrong))]:g}",
                    "an annualised decimal in (0, 5], 0.65 for 65 %",
                    "divide by 100 if the vols are in percent",
                )
        if self.skew is not None and not (
            self.skew.index.equals(index)
            and self.skew.columns.equals(self.frame.columns)
            and bool(np.isfinite(self.skew.to_numpy(dtype=np.float64)).all())
        ):
            raise SchemaError(
                f"skew of shape {self.skew.shape} for vols of shape {self.frame.shape}, or not as labelled",
                "one finite slope of ln(iv) in ln(K/F) for each vol, same dates and columns",
                "build it on the index of the vols",
            )

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        label: str = "given",
        simulated: bool = False,
        skew: pd.DataFrame | None = None,
    ) -> VolPath:
        """Return the path of implied vols that the caller has.

        Parameters
        ----------
        frame : DataFrame
            Index of days, one column an underlying, 30-day implied vol as an annualised decimal.
        label : str
            Origin, for titles.
        simulated : bool
            Say so where a model made them.
        skew : DataFrame, optional
            Slopes of ln(iv) in ln(K/F) at the money, on the same dates; a flat smile where None.

        Examples
        --------
        >>> days = pd.date_range("2021-01-01", periods=2)
        >>> VolPath.from_frame(pd.DataFrame({"BTC": [0.6, 0.7]}, index=days)).simulated
        False
        """
        numbers = frame.apply(pd.to_numeric, errors="coerce").astype("float64")
        data = {"vols": fingerprint(numbers.to_numpy(dtype=np.float64), [str(day) for day in frame.index])}
        if skew is not None:
            data["skew"] = fingerprint(skew.to_numpy(dtype=np.float64))
        made_by = Provenance(method="backtest.VolPath.from_frame", data=data, simulated=simulated)
        return cls(frame=numbers, label=label, simulated=simulated, provenance=made_by, skew=skew)

    def aligned(self, dates: pd.DatetimeIndex, underlyings: Sequence[str]) -> FloatArray:
        """Return the vols of the dates, shape (dates, underlyings), NaN on dates that the path does not hold.

        Raises
        ------
        DataGapError
            An underlying that the path does not hold.
        """
        for name in underlyings:
            if name not in self.frame.columns:
                raise DataGapError(
                    f"no implied vol of {name} in the path {self.label!r}",
                    f"one of {', '.join(map(str, self.frame.columns))}",
                    "give a path of all underlyings of the book",
                )
        return self.frame[list(underlyings)].reindex(dates).to_numpy(dtype=np.float64, copy=True)

    def aligned_skew(self, dates: pd.DatetimeIndex, underlyings: Sequence[str]) -> FloatArray | None:
        """Return the slopes of the dates in the shape of :meth:`aligned`, None where the smile is flat."""
        if self.skew is None:
            return None
        return self.skew[list(underlyings)].reindex(dates).to_numpy(dtype=np.float64, copy=True)

    def to_frame(self) -> pd.DataFrame:
        """Return the vols; column names say ``simulated`` where they are."""
        mark = " (simulated)" if self.simulated else ""
        return self.frame.rename(columns={name: f"{name} iv 30d{mark}" for name in self.frame.columns})

    def summary(self) -> pd.DataFrame:
        """Return lowest, median, highest vol and sd of its daily log moves for each underlying."""
        rows = {}
        for name in self.frame.columns:
            vols = self.frame[name]
            rows[name] = {
                "path": self.label + (" (simulated)" if self.simulated else ""),
                "lowest": float(vols.min()),
                "median": float(vols.median()),
                "highest": float(vols.max()),
                "sd of daily log moves": float(np.log(vols).diff().std()),
            }
        return pd.DataFrame.from_dict(rows, orient="index")
