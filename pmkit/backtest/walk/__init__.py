"""Walk-forwards: an as-of clock, books, forecasters, and what they leave behind."""
