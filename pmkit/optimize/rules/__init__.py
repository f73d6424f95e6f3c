"""Margin rules as linear programmes: one module a methodology, each exact or refused by name."""
