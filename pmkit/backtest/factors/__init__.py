"""The risk factors of a model against those that came: each law, their joint law, the P&L they explain."""
