"""One expiry at a time: linear, PCHIP, SVI in its forms, SABR; what a fitted slice and its quality are."""
