"""REST of the registry, by noun."""
