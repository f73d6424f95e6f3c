"""What is read from a surface: density, local vol, variance swaps, indices, quotes by delta, clocks."""
