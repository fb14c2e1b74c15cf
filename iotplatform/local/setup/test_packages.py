"""System packages that only the tests need: a browser, a broker, its clients."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Debian packages, and a program of each.
PACKAGES = {
    "chromium": "chromium",
    "mosquitto": "mosquitto",
    "mosquitto-clients": "mosquitto_pub",
}
# Playwright's driver needs it, and a minimal Debian does not have it.
LIBRARIES = {"libatomic1": "libatomic.so.1"}
INSTALL = ["apt-get", "install", "-q", "-y", "--no-install-recommends"]


def missing_packages() -> list[str]:
    """The packages whose programs or libraries are missing."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    programs = [
        name for name, tool in PACKAGES.items() if not shutil.which(tool, path=path)
    ]
    return programs + [name for name, file in LIBRARIES.items() if not _loads(file)]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def ensure_test_packages(say: Callable[[str], None]) -> None:
    """Install missing packages as root on Debian or Ubuntu; elsewhere print them."""
    missing = missing_packages()
    if not missing:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"Installing {', '.join(missing)} with apt-get ...")
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        with _no_services():
            for command in (["apt-get", "update", "-q"], [*INSTALL, *missing]):
                subprocess.call(command, env=environment, stdin=subprocess.DEVNULL)
        if "mosquitto" in missing and shutil.which("systemctl"):
            # It must not use port 1883 after the next boot either.
            subprocess.run(
                ["systemctl", "disable", "mosquitto"], capture_output=True, check=False
            )
        missing = missing_packages()
    if missing:
        say(f"Not installed: {', '.join(missing)}. Tests that need them are skipped.")


@contextmanager
def _no_services() -> Iterator[None]:
    """Prevent packages from starting services: Mosquitto's would use port 1883.

    Uses Debian's policy-rc.d; an existing policy stays in force.
    """
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
