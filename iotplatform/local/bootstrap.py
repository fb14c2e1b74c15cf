"""What `make` runs first: is this Python good enough? Then installation.py goes on.

Nothing here is younger than Python 3.5, so that an old one gets a sentence to read
instead of a traceback.
"""

import os
import sys
import types

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


def main():  # type: ignore[no-untyped-def]
    complaint = complaint_about(sys.version_info, sys.executable)  # type: ignore[no-untyped-call]
    if complaint:
        sys.exit(complaint)
    # The project package without its __init__, which wants what is not installed yet.
    package = types.ModuleType("iotplatform")
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    sys.modules["iotplatform"] = package
    from iotplatform.local.installation import main as install

    sys.exit(install(sys.argv[1:]))


if __name__ == "__main__":
    main()  # type: ignore[no-untyped-call]
