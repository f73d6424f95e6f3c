"""Types, units, errors, status, results, provenance, random streams, and the protocols between rooms."""
