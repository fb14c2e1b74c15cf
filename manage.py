#!/usr/bin/env python
"""Django's command line."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from iotplatform.database.rights import refused_connection

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        refusal = refused_connection(error)
        if not refusal:
            raise
        sys.exit(refusal)


if __name__ == "__main__":
    main()
