"""From quotes to a surface: forwards, implied vols, total variance, and the snapshot built on them."""

from pmkit.surface.arbitrage.butterfly import ButterflyReport, butterfly, density, g, wing_limits
from pmkit.surface.arbitrage.calendar import CalendarReport, calendar
from pmkit.surface.arbitrage.numeric_arbitrage import (
    NumericButterfly,
    WholeLine,
    arbitrage_frame,
    numeric_butterfly,
    numeric_calendar,
)
from pmkit.surface.builder import build_snapshot, load_snapshot
from pmkit.surface.compile import warmup_slices
from pmkit.surface.fit import fit
from pmkit.surface.inputs.executable import ExecutableArbitrage, executable_arbitrage
from pmkit.surface.inputs.forwards import ForwardCurve, forward_curve
from pmkit.surface.inputs.forwards_linear import parity_line, vix_forward
from pmkit.surface.inputs.forwards_parity import ParityForward, parity_forward
from pmkit.surface.inputs.own_vols import OwnVols, own_vols
from pmkit.surface.inputs.parity_bounds import ParityBounds, parity_bounds
from pmkit.surface.inputs.quote_filter import FilteredQuotes, QuoteFilter, filter_quotes
from pmkit.surface.inputs.repair import Repair, repair
from pmkit.surface.inputs.slice_quotes import SliceQuotes, slice_quotes
from pmkit.surface.joint.andreasen_huge import AndreasenHugeSlice, AndreasenHugeSurface
from pmkit.surface.joint.andreasen_huge_fit import fit_andreasen_huge
from pmkit.surface.joint.essvi import EssviParameters, EssviSlice, EssviSurface
from pmkit.surface.joint.essvi_bound import f_gj, f_mm, psi_max
from pmkit.surface.joint.essvi_box import (
    EssviBox,
    EssviCurves,
    EssviProjection,
    box_to_parameters,
    from_unconstrained,
    parameters_to_box,
    project,
    to_unconstrained,
    unconstrained_to_parameters,
)
from pmkit.surface.joint.essvi_calendar import HendriksMartini, hendriks_martini
from pmkit.surface.joint.essvi_fit import EssviFit, anchored_theta, fit_essvi
from pmkit.surface.joint.essvi_spline import EssviSplineSlice, EssviSplineSurface
from pmkit.surface.joint.fengler import FenglerSlice, FenglerSurface, fit_fengler
from pmkit.surface.joint.spline_basis import SplineBasis
from pmkit.surface.joint.ssvi import SsviSurface, repaired_jump_wing, ssvi_parameters
from pmkit.surface.joint.ssvi_fit import SsviFit, fit_ssvi
from pmkit.surface.joint.ssvi_phi import HestonPhi, ModifiedPowerPhi, PowerPhi, SsviReport, ssvi_conditions
from pmkit.surface.moves.apply_shock import shock_surface
from pmkit.surface.moves.dynamics import SkewStickiness, skew_stickiness, spot_vols
from pmkit.surface.moves.factors import SurfaceFactors, surface_factors
from pmkit.surface.moves.headroom import Headroom, find_headroom
from pmkit.surface.moves.projection import fit_smile
from pmkit.surface.moves.scaling_limits import calendar_room, essvi_scaling_limit, raw_scaling_limit
from pmkit.surface.moves.shocked import ShockedSlice, ShockedSurface
from pmkit.surface.moves.shocks import SurfaceShock, elasticity_needed
from pmkit.surface.moves.simulated_surfaces import SimulatedSurfaces
from pmkit.surface.panel import PanelFit, fit_panel
from pmkit.surface.readouts.clocks import Clock, ClockedSurface
from pmkit.surface.readouts.constant_time import VixIndex, dvol_like, vix_index
from pmkit.surface.readouts.curves import VarianceCurve, variance_curve
from pmkit.surface.readouts.delta_quotes import (
    BrokerStrangle,
    DeltaQuotes,
    broker_strangle,
    delta_quotes,
    market_butterfly,
)
from pmkit.surface.readouts.deltas import option_delta, strike_from_delta, strike_of_delta
from pmkit.surface.readouts.implied_density import ImpliedDensity, implied_density
from pmkit.surface.readouts.local_vol import LocalVol, local_vol
from pmkit.surface.readouts.outside import ExtrapolationWarning
from pmkit.surface.readouts.variance_swap import (
    DiscreteVarianceSwap,
    VarianceSwap,
    discrete_variance_swap,
    variance_swap,
)
from pmkit.surface.readouts.vix import VixStrip, minutes_to, vix_strip
from pmkit.surface.readouts.weekend import WeekendWeight, weekend_weight
from pmkit.surface.slices.pchip import PchipSlice, PchipSurface, fit_pchip
from pmkit.surface.slices.sabr import Sabr, alpha_from_atm
from pmkit.surface.slices.sabr_surface import SabrSlice, SabrSurface, fit_sabr
from pmkit.surface.slices.slice_fit import SliceFit
from pmkit.surface.slices.smile import LinearSurface, SmileSlice
from pmkit.surface.slices.svi import JumpWingSvi, NaturalSvi, RawSvi
from pmkit.surface.slices.svi_fit import SviFit, SviFits, fit_svi, fit_svi_many
from pmkit.surface.slices.svi_surface import SviSlice, SviSurface

__all__ = [
    "AndreasenHugeSlice",
    "AndreasenHugeSurface",
    "BrokerStrangle",
    "ButterflyReport",
    "CalendarReport",
    "Clock",
    "ClockedSurface",
    "DeltaQuotes",
    "DiscreteVarianceSwap",
    "EssviBox",
    "EssviCurves",
    "EssviFit",
    "EssviParameters",
    "EssviProjection",
    "EssviSlice",
    "EssviSplineSlice",
    "EssviSplineSurface",
    "EssviSurface",
    "ExecutableArbitrage",
    "ExtrapolationWarning",
    "FenglerSlice",
    "FenglerSurface",
    "FilteredQuotes",
    "ForwardCurve",
    "Headroom",
    "HendriksMartini",
    "HestonPhi",
    "ImpliedDensity",
    "JumpWingSvi",
    "LinearSurface",
    "LocalVol",
    "ModifiedPowerPhi",
    "NaturalSvi",
    "NumericButterfly",
    "OwnVols",
    "PanelFit",
    "ParityBounds",
    "ParityForward",
    "PchipSlice",
    "PchipSurface",
    "PowerPhi",
    "QuoteFilter",
    "RawSvi",
    "Repair",
    "Sabr",
    "SabrSlice",
    "SabrSurface",
    "ShockedSlice",
    "ShockedSurface",
    "SimulatedSurfaces",
    "SkewStickiness",
    "SliceFit",
    "SliceQuotes",
    "SmileSlice",
    "SplineBasis",
    "SsviFit",
    "SsviReport",
    "SsviSurface",
    "SurfaceFactors",
    "SurfaceShock",
    "SviFit",
    "SviFits",
    "SviSlice",
    "SviSurface",
    "VarianceCurve",
    "VarianceSwap",
    "VixIndex",
    "VixStrip",
    "WeekendWeight",
    "WholeLine",
    "alpha_from_atm",
    "anchored_theta",
    "arbitrage_frame",
    "box_to_parameters",
    "broker_strangle",
    "build_snapshot",
    "butterfly",
    "calendar",
    "calendar_room",
    "delta_quotes",
    "density",
    "discrete_variance_swap",
    "dvol_like",
    "elasticity_needed",
    "essvi_scaling_limit",
    "executable_arbitrage",
    "f_gj",
    "f_mm",
    "filter_quotes",
    "find_headroom",
    "fit",
    "fit_andreasen_huge",
    "fit_essvi",
    "fit_fengler",
    "fit_panel",
    "fit_pchip",
    "fit_sabr",
    "fit_smile",
    "fit_ssvi",
    "fit_svi",
    "fit_svi_many",
    "forward_curve",
    "from_unconstrained",
    "g",
    "hendriks_martini",
    "implied_density",
    "load_snapshot",
    "local_vol",
    "market_butterfly",
    "minutes_to",
    "numeric_butterfly",
    "numeric_calendar",
    "option_delta",
    "own_vols",
    "parameters_to_box",
    "parity_bounds",
    "parity_forward",
    "parity_line",
    "project",
    "psi_max",
    "raw_scaling_limit",
    "repair",
    "repaired_jump_wing",
    "shock_surface",
    "skew_stickiness",
    "slice_quotes",
    "spot_vols",
    "ssvi_conditions",
    "ssvi_parameters",
    "strike_from_delta",
    "strike_of_delta",
    "surface_factors",
    "to_unconstrained",
    "unconstrained_to_parameters",
    "variance_curve",
    "variance_swap",
    "vix_forward",
    "vix_index",
    "vix_strip",
    "warmup_slices",
    "weekend_weight",
    "wing_limits",
]
