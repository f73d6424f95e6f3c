"""From quotes to a surface: forwards, implied vols, total variance, and the snapshot built on them."""

from pmkit.surface.builder import build_snapshot, load_snapshot
from pmkit.surface.fit import OwnVols, fit, own_vols
from pmkit.surface.forwards import ForwardCurve, ParityForward, forward_curve, parity_forward
from pmkit.surface.smile import LinearSurface, SmileSlice

__all__ = [
    "ForwardCurve",
    "LinearSurface",
    "OwnVols",
    "ParityForward",
    "SmileSlice",
    "build_snapshot",
    "fit",
    "forward_curve",
    "load_snapshot",
    "own_vols",
    "parity_forward",
]
