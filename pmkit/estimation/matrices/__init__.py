"""Covariance and correlation matrices: shrinkage, ranks, repair, stress, worst case, bands, regimes."""
