"""Forwards, own vols, filters and repair: from raw quotes to the points a slice is fitted to."""
