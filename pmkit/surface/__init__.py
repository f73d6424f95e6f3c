"""From quotes to a surface: forwards, implied vols, total variance, and the snapshot built on them."""

from pmkit.surface.builder import build_snapshot, load_snapshot
from pmkit.surface.butterfly import ButterflyReport, butterfly, density, g, wing_limits
from pmkit.surface.calendar import CalendarReport, calendar
from pmkit.surface.fit import fit
from pmkit.surface.forwards import ForwardCurve, ParityForward, forward_curve, parity_forward
from pmkit.surface.own_vols import OwnVols, own_vols
from pmkit.surface.slice_fit import SliceFit
from pmkit.surface.slice_quotes import SliceQuotes, slice_quotes
from pmkit.surface.smile import LinearSurface, SmileSlice
from pmkit.surface.svi import JumpWingSvi, NaturalSvi, RawSvi
from pmkit.surface.svi_fit import SviFit, fit_svi
from pmkit.surface.svi_surface import SviSlice, SviSurface

__all__ = [
    "ButterflyReport",
    "CalendarReport",
    "ForwardCurve",
    "JumpWingSvi",
    "LinearSurface",
    "NaturalSvi",
    "OwnVols",
    "ParityForward",
    "RawSvi",
    "SliceFit",
    "SliceQuotes",
    "SmileSlice",
    "SviFit",
    "SviSlice",
    "SviSurface",
    "build_snapshot",
    "butterfly",
    "calendar",
    "density",
    "fit",
    "fit_svi",
    "forward_curve",
    "g",
    "load_snapshot",
    "own_vols",
    "parity_forward",
    "slice_quotes",
    "wing_limits",
]
