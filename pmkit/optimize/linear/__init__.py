"""Linear programmes: how they are written down, solved, and explained where nothing solves them."""
