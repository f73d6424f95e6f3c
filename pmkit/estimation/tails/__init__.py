"""Tails and dependence: peaks over threshold, conditional EVT, copulas, vines."""
