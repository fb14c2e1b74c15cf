"""Run the stores under unprivileged accounts when we are root."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from iotplatform.common.private_files import FileOwner
from iotplatform.local.errors import SetupError

PR_SET_PDEATHSIG = 1
# Lets a process that is not root read all files and enter all folders, nothing else.
# The last option keeps that right for access(2), which PostgreSQL uses on its files.
ENTER_ANY_FOLDER = [
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
    "--securebits=+no_setuid_fixup",
]


@dataclass(frozen=True)
class Account(FileOwner):
    """A user of this machine."""

    name: str


def account_for(folder: Path, *names: str) -> Account | None:
    """The account for a store: its folder's owner, else the first name that exists.

    None if this process is not root: then everything runs as the present user. Raises
    SetupError if no such account exists.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat().st_uid) != 0:
        try:
            entry = pwd.getpwuid(owner)
            return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)
        except KeyError:
            pass  # the account is unknown on this machine: choose a new owner
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)
    raise SetupError(
        "Started as root, the stores must run under another account"
        f" ({' or '.join(names)}), but this machine has none of them. Create one, or"
        " start as a normal user."
    )


def give_folder(folder: Path, account: Account | None) -> None:
    """Create a store's folder, and give it with all its contents to the account."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    if account is None or folder.stat().st_uid == account.uid:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def run_as(
    account: Account | None, *, binary: Path, folder: Path, dies_by: str = ""
) -> list[str]:
    """Return a command prefix that runs a command as this account.

    The account must be able to run ``binary`` and read ``folder``; else raises
    SetupError. The command gets the signal ``dies_by`` when its parent process ends.
    """
    if account is None:
        return []
    setpriv = shutil.which(
        "setpriv", path=os.environ.get("PATH", "") + ":/usr/bin:/bin"
    )
    if setpriv is None:
        raise SetupError(
            "Started as root, the stores must run under another account. That needs "
            "the program setpriv (package util-linux). Install it, or start as a "
            "normal user."
        )
    plain = [setpriv, "--reuid", str(account.uid), "--regid", str(account.gid)]
    plain.append("--clear-groups")
    for prefix in (plain, plain + ENTER_ANY_FOLDER):
        if _can_read(prefix, binary, folder):
            return [*prefix, *(["--pdeathsig", dies_by] if dies_by else [])]
    raise SetupError(
        f"Started as root, the stores run as {account.name}, who cannot read {folder} "
        f"or {binary}: other users may not enter a folder above, and root cannot give "
        "that right here (capability dac_read_search). Move the checkout and "
        "IOT_DATA_DIR to a folder that others may enter, or start as a normal user."
    )


def _can_read(prefix: Sequence[str], binary: Path, folder: Path) -> bool:
    script = 'head -c 1 "$1" && ls -d "$2/."'
    done = subprocess.run(
        [*prefix, "/bin/sh", "-c", script, "sh", str(binary), str(folder)],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def dying_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Return a ``preexec_fn`` that sends a child this signal when we end (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def request_signal() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the parent ended before the call
            os.kill(os.getpid(), number)

    return request_signal
