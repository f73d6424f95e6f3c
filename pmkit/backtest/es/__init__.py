"""Tests of expected shortfall: size of losses beyond VaR, probabilities of the model, bets against it."""
