"""When an account is called and closed: distance, prices, partial liquidation, waterfall, replay."""

from pmkit.liquidation.auction import auction_fraction, auction_price, liquidation_buffer
from pmkit.liquidation.call import MarginCall, margin_call
from pmkit.liquidation.deleverage import Deleveraging, adl_score, bankruptcy_price, deleverage
from pmkit.liquidation.distance import Distance, distance_to_liquidation
from pmkit.liquidation.history_path import history_path
from pmkit.liquidation.margin_path import margin_path
from pmkit.liquidation.margin_path_result import MarginPath
from pmkit.liquidation.moved import MovedSurface, moved_snapshot
from pmkit.liquidation.partial import PartialLiquidation, partial_liquidation
from pmkit.liquidation.path import scenario_path, settle_expired
from pmkit.liquidation.price import LiquidationPrice, liquidation_price
from pmkit.liquidation.replay import replay
from pmkit.liquidation.replay_result import Replay
from pmkit.liquidation.waterfall import Waterfall, waterfall

__all__ = [
    "Deleveraging",
    "Distance",
    "LiquidationPrice",
    "MarginCall",
    "MarginPath",
    "MovedSurface",
    "PartialLiquidation",
    "Replay",
    "Waterfall",
    "adl_score",
    "auction_fraction",
    "auction_price",
    "bankruptcy_price",
    "deleverage",
    "distance_to_liquidation",
    "history_path",
    "liquidation_buffer",
    "liquidation_price",
    "margin_call",
    "margin_path",
    "moved_snapshot",
    "partial_liquidation",
    "replay",
    "scenario_path",
    "settle_expired",
    "waterfall",
]
