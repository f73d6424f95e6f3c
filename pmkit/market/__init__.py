"""What is seen: quotes, price histories, snapshots and the shipped data sets."""

from pmkit.market import datasets
from pmkit.market.handed_on import load_snapshot
from pmkit.market.history import PriceHistory, load_history
from pmkit.market.quote_panel import QuotePanel, read_quote_panel
from pmkit.market.quotes import Quotes, read_quotes
from pmkit.market.snapshot import ForwardQuote, Mark, MarketSnapshot, UnderlyingMarket

__all__ = [
    "ForwardQuote",
    "Mark",
    "MarketSnapshot",
    "PriceHistory",
    "QuotePanel",
    "Quotes",
    "UnderlyingMarket",
    "datasets",
    "load_history",
    "load_snapshot",
    "read_quote_panel",
    "read_quotes",
]
