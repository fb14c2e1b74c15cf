"""What `make` runs first: check the version of Python, then start installation.py.

This file works with Python 3.5, so that an old Python prints a sentence instead of a
traceback.
"""

import os
import sys
import types

PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():  # type: ignore[no-untyped-def]
    # The project package without its __init__, which needs packages that are missing.
    package = types.ModuleType("iotplatform")
    package.__path__ = [PACKAGE]
    sys.modules["iotplatform"] = package
    from iotplatform.local.setup.python_version import complaint_about

    complaint = complaint_about(sys.version_info, sys.executable)  # type: ignore[no-untyped-call]
    if complaint:
        sys.exit(complaint)
    from iotplatform.local.setup.installation import main as install

    sys.exit(install(sys.argv[1:]))


if __name__ == "__main__":
    main()  # type: ignore[no-untyped-call]
