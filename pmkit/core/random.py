"""Random streams: one root seed, one named stream a purpose, so that adding a draw moves no other draw."""

from __future__ import annotations

import zlib

import numpy as np

from pmkit.core.errors import ParameterError

__all__ = ["stream"]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of the named purpose under ``seed`` (Philox, counter based).

    Parameters
    ----------
    seed : int
        Root seed, 0 or more.
    *names : str or int
        Purpose, for example ``stream(7, "residuals")`` or ``stream(7, "bootstrap", 12)``.

    Raises
    ------
    ParameterError
        A seed that is no whole number or below 0.

    Examples
    --------
    >>> float(stream(7, "a").random()) == float(stream(7, "a").random())
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ParameterError(f"seed is {seed!r}", "a whole number, 0 or more", "correct it")
    key = [zlib.crc32(str(name).encode()) for name in names]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *key])))
