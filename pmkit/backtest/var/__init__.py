"""Tests of value at risk: number, timing and dependence of hits."""
