"""What the embedded stack says when it cannot go on."""


class SetupError(Exception):
    """A message for the person at the terminal: what is wrong, and what would help."""
