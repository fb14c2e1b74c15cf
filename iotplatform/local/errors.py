"""The error that ends a start of the embedded stack."""


class SetupError(Exception):
    """A message for the person at the terminal: what is wrong, and how to fix it."""
