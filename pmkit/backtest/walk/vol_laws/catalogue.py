"""The laws of implied vol by name, and all three along one history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pmkit.backtest.walk.vol_laws.har_law import HarVolLaw
from pmkit.backtest.walk.vol_laws.heston_law import HestonVolLaw
from pmkit.backtest.walk.vol_laws.jump_law import JumpVolLaw
from pmkit.backtest.walk.vol_laws.sizes import VOL_OF_VOL, simulate_vol_path
from pmkit.backtest.walk.vol_laws.vol_law import VolLaw
from pmkit.backtest.walk.vol_path import VolPath
from pmkit.core.errors import ParameterError
from pmkit.market.history import PriceHistory

__all__ = ["VOL_LAWS", "named_vol_path", "vol_law_paths"]

VOL_LAWS: Mapping[str, type[VolLaw]] = MappingProxyType(
    {"har": HarVolLaw, "heston": HestonVolLaw, "jumps": JumpVolLaw}
)
"""Three laws of implied vol: regression on the past, diffusion with leverage, jumps that decay."""


def vol_law_paths(
    history: PriceHistory, *, underlyings: Sequence[str] | None = None, seed: int = 20260801
) -> dict[str, VolPath]:
    """Return simulated 30-day implied vols under each of the three laws, with the laws' own assumptions.

    Use it to mark options where no quotes exist, under laws of which none is the margin model's: what changes
    between them is no finding (``paths`` of :func:`pmkit.backtest.run_vol_scenarios`).

    Parameters
    ----------
    history, underlyings, seed
        As for :meth:`pmkit.backtest.VolLaw.path`; each law draws from streams of its own.

    Returns
    -------
    dict of str to VolPath
        ``"har"``, ``"heston"`` and ``"jumps"``.

    Raises
    ------
    PmkitError
        As :meth:`pmkit.backtest.VolLaw.path`.

    References
    ----------
    Corsi (2009); Heston (1993); Hawkes (1971).

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> paths = vol_law_paths(load_history("crypto-daily-2020-2023"), underlyings=["BTC"])
    >>> {name: round(float(path.frame["BTC"].median()), 2) for name, path in paths.items()}
    {'har': 0.71, 'heston': 0.71, 'jumps': 0.73}
    """
    return {name: law().path(history, underlyings=underlyings, seed=seed) for name, law in VOL_LAWS.items()}


def named_vol_path(name: str, history: PriceHistory, underlyings: Sequence[str], seed: int) -> VolPath:
    """Return the path of a law, or of a size of vol-of-vol, by name."""
    if name in VOL_LAWS:
        return VOL_LAWS[name]().path(history, underlyings=underlyings, seed=seed)
    if name not in VOL_OF_VOL:
        raise ParameterError(
            f"vol_path is {name!r}", f"one of {', '.join(map(repr, (*VOL_OF_VOL, *VOL_LAWS)))}", "name one"
        )
    return simulate_vol_path(history, vol_of_vol=name, underlyings=underlyings, seed=seed)
