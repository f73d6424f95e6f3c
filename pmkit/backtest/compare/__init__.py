"""Models against each other: scores, Murphy diagrams, confidence sets."""
