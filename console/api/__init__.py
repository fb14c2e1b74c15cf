"""REST API of the console."""
