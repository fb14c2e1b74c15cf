"""Django's deployment checks find nothing wrong with production settings."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_production_settings_pass_the_deployment_checks() -> None:
    given = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "HTTPS_ONLY": "1",
        "ALLOWED_HOSTS": "iot.example.com",
        "DEBUG": "0",
    }
    command = [sys.executable, "-Wi", "manage.py", "check", "--deploy"]
    command += ["--tag", "security", "--fail-level", "WARNING"]

    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | given, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
