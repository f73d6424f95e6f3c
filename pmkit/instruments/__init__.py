"""What is held: contracts with their conventions, positions and portfolios."""

from pmkit.instruments.contracts import Future, Instrument, Option, Perpetual, Spot
from pmkit.instruments.deribit import parse_instrument
from pmkit.instruments.listed import listed_future, listed_option, stock
from pmkit.instruments.names import parse_contract
from pmkit.instruments.portfolio import Portfolio, Position

__all__ = [
    "Future",
    "Instrument",
    "Option",
    "Perpetual",
    "Portfolio",
    "Position",
    "Spot",
    "listed_future",
    "listed_option",
    "parse_contract",
    "parse_instrument",
    "stock",
]
