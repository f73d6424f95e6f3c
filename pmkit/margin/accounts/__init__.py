"""What is margined: positions and collateral, marks, funding, modes of an account."""
