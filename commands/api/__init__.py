"""REST endpoints of the command plane, by noun."""
