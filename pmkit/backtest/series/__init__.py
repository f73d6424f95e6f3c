"""What a test is run on: hits, tails and probabilities in order of time, and the shape of every outcome."""
