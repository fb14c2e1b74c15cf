"""Which Pythons work. This file itself works with Python 3.5."""

MINIMUM = (3, 11)
NEWEST = (3, 14)  # that has wheels of all pinned packages
ADVICE = (
    "Python {0}.{1} or newer is needed, but {2} is {3}.{4}.\n"
    "Install a newer one, or choose one that is installed: make PYTHON=python3.12 demo"
)


def complaint_about(version, executable):  # type: ignore[no-untyped-def]
    """The error message for a Python that is too old, else an empty text."""
    if tuple(version[:2]) >= MINIMUM:
        return ""
    return ADVICE.format(MINIMUM[0], MINIMUM[1], executable, version[0], version[1])
