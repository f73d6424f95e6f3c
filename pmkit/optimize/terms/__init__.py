"""What can be minimised or limited: requirements, expected shortfall, cost and weighted sums of them."""
