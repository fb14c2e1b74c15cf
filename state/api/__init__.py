"""The REST API of state."""
