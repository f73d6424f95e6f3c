"""Fingerprints: equal provenance gives equal bits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pmkit.core.result import jsonable

__all__ = ["Provenance", "fingerprint"]


def fingerprint(*parts: Any) -> str:
    """Return the first 16 hex digits of the SHA-256 of the parts (arrays by bytes, the rest as JSON).

    Examples
    --------
    >>> fingerprint("a", 1) == fingerprint("a", 1), fingerprint("a", 1) == fingerprint("a", 2)
    (True, False)
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray) and part.dtype != object:
            array = np.ascontiguousarray(part)
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
        elif isinstance(part, bytes):
            digest.update(part)
        else:
            digest.update(json.dumps(jsonable(part), sort_keys=True).encode())
        digest.update(b"\x00")
    return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a result comes from: data by fingerprint, method, parameters and seed.

    Attributes
    ----------
    method : str
        The function and its variant.
    data : mapping of str to str
        Name of each input and its fingerprint.
    parameters : mapping of str to object
        Every argument that changes the numbers.
    seed : int or None
        Root seed of the random streams; None where nothing is random.
    simulated : bool
        True where any input is simulated and not observed.
    """

    method: str
    data: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    simulated: bool = False

    @property
    def id(self) -> str:
        """Fingerprint of the whole record."""
        return fingerprint(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON-ready objects."""
        return {
            "method": self.method,
            "data": dict(self.data),
            "parameters": jsonable(dict(self.parameters)),
            "seed": self.seed,
            "simulated": self.simulated,
        }
