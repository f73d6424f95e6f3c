"""``reg-t``: margin by strategy, with the cheapest admissible pairing of the legs."""

from pmkit.margin.rules.reg_t.pairing import Pairing, cheapest_pairing
from pmkit.margin.rules.reg_t.rule import RegT
from pmkit.margin.rules.reg_t.strategies import Line, Strategy, naked_option

__all__ = ["Line", "Pairing", "RegT", "Strategy", "cheapest_pairing", "naked_option"]
