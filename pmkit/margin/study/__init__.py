"""Requirements studied: compared, changed by a trade, shocked, made less procyclical."""
