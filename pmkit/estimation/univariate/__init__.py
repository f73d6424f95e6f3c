"""One return series: fits through arch, the fast Newton refit, rolling estimation, forecasts."""
