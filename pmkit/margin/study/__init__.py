"""Requirements studied: compared, changed by a trade, shocked, of many accounts at once."""
