"""As root, the stores run under unprivileged accounts: which one, and by what means."""

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

from iotplatform.local.errors import SetupError

PR_SET_PDEATHSIG = 1
# Lets a process that is not root read and pass what only root may, nothing else. The
# last option keeps that for access(2), which PostgreSQL asks about its own files.
ENTER_ANY_FOLDER = [
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
    "--securebits=+no_setuid_fixup",
]


@dataclass(frozen=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int


def account_for(folder: Path, *names: str) -> Account | None:
    """Who runs a store as root: its folder's owner, else the first name that exists.

    None when this process is not root: then everything runs as whoever we are.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat().st_uid) != 0:
        try:
            entry = pwd.getpwuid(owner)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
        except KeyError:
            pass  # an account of another machine: the folder gets a new owner
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise SetupError(
        f"Started as root, the stores need another account ({', '.join(names)}), "
        "and this machine has none. Create one, or start as a normal user."
    )


def give(folder: Path, account: Account | None) -> None:
    """Create a store's folder, and hand it over with all that is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    if account is None or folder.stat().st_uid == account.uid:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def acting_as(
    account: Account | None, *, binary: Path, folder: Path, dies_by: str = ""
) -> list[str]:
    """The words before a command that make it run as this account.

    ``binary`` and ``folder`` are what the account must get at. ``dies_by`` names the
    signal that the command gets when the process that started it is gone.
    """
    if account is None:
        return []
    setpriv = shutil.which(
        "setpriv", path=os.environ.get("PATH", "") + ":/usr/bin:/bin"
    )
    if setpriv is None:
        raise SetupError(
            "Started as root, the stores must run under another account, for which "
            "the program setpriv (util-linux) is needed. Install it, or start as a "
            "normal user."
        )
    plain = [setpriv, "--reuid", str(account.uid), "--regid", str(account.gid)]
    plain.append("--clear-groups")
    for prefix in (plain, plain + ENTER_ANY_FOLDER):
        if _reaches(prefix, binary, folder):
            return [*prefix, *(["--pdeathsig", dies_by] if dies_by else [])]
    raise SetupError(
        f"Started as root, the stores run as {account.name}, who cannot get at "
        f"{folder} or {binary}: a folder above is closed to others, and this machine "
        "does not let root pass that right on (capability dac_read_search). Move the "
        "checkout and IOT_DATA_DIR to a folder that others may enter, or start as a "
        "normal user."
    )


def _reaches(prefix: Sequence[str], binary: Path, folder: Path) -> bool:
    script = 'head -c 1 "$1" && ls -d "$2/."'
    done = subprocess.run(
        [*prefix, "/bin/sh", "-c", script, "sh", str(binary), str(folder)],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def dying_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """A ``preexec_fn`` with which a child gets this signal when we are gone (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it was gone before we asked
            os.kill(os.getpid(), number)

    return ask
