"""Margin against what came: coverage, many accounts, overlap, procyclicality."""
