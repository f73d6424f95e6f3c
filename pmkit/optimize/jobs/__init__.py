"""What a desk asks: hedge, close, pledge, split, trade return for margin, and how often to rebalance."""
