"""Why an optimum may be believed, or not: fresh scenarios, resampled ones, and the worst correlation."""
