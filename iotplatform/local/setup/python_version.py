"""Which Python is needed; nothing here is younger than Python 3.5."""

MINIMUM = (3, 11)
ADVICE = (
    "Python {0}.{1} or newer is needed, and {2} is {3}.{4}.\n"
    "Install a newer one, or name one that is there: make PYTHON=python3.12 demo"
)


def complaint_about(version, executable):  # type: ignore[no-untyped-def]
    """What to say about a Python that is too old; nothing about a good one."""
    if tuple(version[:2]) >= MINIMUM:
        return ""
    return ADVICE.format(MINIMUM[0], MINIMUM[1], executable, version[0], version[1])
