"""How surfaces move: dynamics of a spot move, shocks, headroom, projection, factors."""
