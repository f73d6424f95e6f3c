"""Static arbitrage: butterfly and calendar, exact for SVI, numerical for any smile, and on grids."""
