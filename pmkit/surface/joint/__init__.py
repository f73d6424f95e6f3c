"""All expiries at once: SSVI, eSSVI in Mingone's box, and the non-parametric controls."""
