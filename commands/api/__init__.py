"""REST doors of the command plane, by noun."""
