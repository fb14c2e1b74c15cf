"""`manage.py mosquitto_files` as a separate process, on the tests' database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from django.db import connection

from tests.broker_process import BASE


def follow(
    folder: Path, *, listener: str, pid_file: str = ""
) -> subprocess.Popen[bytes]:
    """Start the process; the caller must end it."""
    options = ["--dir", str(folder), "--listener", listener, "--pid-file", pid_file]
    database = connection.settings_dict
    address = f"{database['HOST']}:{database['PORT']}/{database['NAME']}"
    url = f"postgres://{database['USER']}:{database['PASSWORD']}@{address}"
    return subprocess.Popen(
        [sys.executable, "manage.py", "mosquitto_files", *options],
        cwd=BASE,
        env=os.environ | {"DATABASE_URL": url},
    )
