"""How far a simulated figure is from settled: its spread over independent scrambles, against the paths."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.progress import ProgressBar
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.scenarios.scenario_set import ScenarioSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Convergence", "convergence"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Convergence(Result):
    """A figure at several numbers of paths, each from independent replicates.

    Attributes
    ----------
    name : str
        Of the figure, with its unit.
    paths : ndarray of int, shape (m,)
    values : ndarray, shape (m, replicates)
    provenance : Provenance
    """

    name: str
    paths: FloatArray
    values: FloatArray
    provenance: Provenance = field(default_factory=lambda: Provenance(method="scenarios.convergence"))
    references: tuple[str, ...] = ("owen1997",)

    @property
    def error(self) -> FloatArray:
        """Standard error of one run at each number of paths: the spread over replicates, shape (m,)."""
        return np.asarray(np.std(self.values, axis=1, ddof=1))

    @property
    def slope(self) -> float:
        """Exponent of the fall of the error in the paths: -0.5 for pseudo-random paths, to -1 at best.

        NaN with fewer than two numbers of paths, or where an error is 0.
        """
        error = self.error
        if len(error) < 2 or not bool((error > 0.0).all()):
            return math.nan
        x, y = np.log(self.paths), np.log(error)
        x = x - np.add.reduce(x) / len(x)
        return float(np.add.reduce(x * y) / np.add.reduce(x * x))

    def check(self) -> None:
        """Raise where a value is not finite."""
        if not bool(np.isfinite(self.values).all()):
            raise PmkitError(f"{self.name} is not finite", "finite figures", "look at the figure's inputs")

    def to_frame(self) -> pd.DataFrame:
        """Return one row a run: paths, replicate, value."""
        m, count = self.values.shape
        return pd.DataFrame(
            {
                "paths": np.repeat(self.paths.astype(np.int64), count),
                "replicate": np.tile(np.arange(count), m),
                "value": self.values.ravel(),
            }
        )

    def summary(self) -> pd.DataFrame:
        """Return one row a number of paths: mean of the replicates, its error, and the error of one run."""
        error = self.error
        frame = pd.DataFrame(
            {
                "mean": np.add.reduce(self.values, axis=1) / self.values.shape[1],
                "error of the mean": error / math.sqrt(self.values.shape[1]),
                "error of one run": error,
            },
            index=pd.Index(self.paths.astype(np.int64), name="paths"),
        )
        frame.index.name = (
            f"{self.name}; {self.values.shape[1]} replicates; error like paths^{self.slope:.2f}"
        )
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return log-log axes with the error of one run against paths, beside a line that falls like -1/2."""
        axes = new_axes(ax)
        error = self.error
        axes.loglog(self.paths, error, "o-", label=f"{self.name}, slope {self.slope:.2f}")
        axes.loglog(
            self.paths, error[0] * np.sqrt(self.paths[0] / self.paths), "--", color="0.6", label="slope -0.50"
        )
        axes.set(
            xlabel="paths",
            ylabel="standard error of one run",
            title=f"{self.values.shape[1]} independent replicates",
        )
        axes.legend()
        return axes


def convergence(
    simulate: Callable[[int, int], ScenarioSet],
    figure: Callable[[ScenarioSet], float],
    paths: Sequence[int] = (1024, 2048, 4096, 8192, 16384),
    *,
    replicates: int = 16,
    name: str = "figure",
    progress: bool | None = None,
) -> Convergence:
    """Return a figure at several numbers of paths with its standard error from independent scrambles.

    One number of paths is enough for the standard error alone.

    Parameters
    ----------
    simulate : callable of (n_paths, replicate)
        For example ``lambda n, r: monte_carlo(law, snapshot, n_paths=n, replicate=r)``.
    figure : callable of ScenarioSet
        Returns one number, for example the expected shortfall of a book revalued on the scenarios.
    paths : sequence of int
        Ascending.
    replicates : int
        2 or more; the error of an error from R of them is about ``1/sqrt(2 R)``.
    name : str
    progress : bool, optional
        Whether to show a progress bar; where left out, in a terminal, after two seconds.

    Returns
    -------
    Convergence

    Raises
    ------
    ParameterError
        Paths that do not ascend, fewer than two replicates, or a figure that is no finite number.

    References
    ----------
    Owen (1997), independent scramblings.

    Examples
    --------
    >>> from pmkit.scenarios.grid import grid
    >>> def one(n: int, replicate: int) -> ScenarioSet:
    ...     return grid([0.01 * (replicate + 1) / n], dynamics="sticky_strike", underlyings=["BTC"])
    >>> found = convergence(one, lambda s: float(s.shocks[0, 0]), [1, 2, 4], replicates=4)
    >>> round(found.slope, 6), found.error.round(6).tolist()
    (-1.0, [0.01291, 0.006455, 0.003227])
    """
    counts = list(paths)
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 1 for n in counts)
    if not counts or not whole or any(a >= b for a, b in itertools.pairwise(counts)):
        raise ParameterError(f"paths are {counts}", "ascending whole numbers", "correct the list")
    if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 2:
        raise ParameterError(f"replicates is {replicates!r}", "a whole number, 2 or more", "16 is usual")
    values = np.empty((len(counts), replicates))
    data: dict[str, str] = {}
    with ProgressBar("replicates", len(counts) * replicates, progress) as bar:
        for row, replicate in itertools.product(range(len(counts)), range(replicates)):
            n = counts[row]
            scenarios = simulate(int(n), replicate)
            value = figure(scenarios)
            if not hasattr(value, "__float__") or not math.isfinite(float(value)):
                raise ParameterError(
                    f"the figure is {value!r} at {n} paths, replicate {replicate}",
                    "one finite number",
                    "return a float",
                )
            values[row, replicate] = float(value)
            data.setdefault(f"{n} paths", scenarios.fingerprint)
            bar.advance()
    return Convergence(
        name=name,
        paths=np.array(counts, dtype=np.float64),
        values=values,
        provenance=Provenance(
            method="scenarios.convergence",
            data=data,
            parameters={"paths": counts, "replicates": replicates, "figure": name},
            simulated=True,
        ),
    )
