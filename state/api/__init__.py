"""REST of state, by noun."""
