"""Correlation that moves: EWMA to corrected DCC and DECO, their errors, forecasts and scores."""
