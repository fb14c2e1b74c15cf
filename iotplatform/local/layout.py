"""The folders and files of one embedded stack, below IOT_DATA_DIR."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from iotplatform.common.private_files import write_private
from iotplatform.local.errors import SetupError

SECRET_NAMES = (
    "secret_key",
    "postgres_password",
    "database_password",
    "valkey_password",
    "bridge_password",
)


@dataclass(frozen=True)
class Layout:
    """The paths of one embedded stack."""

    root: Path

    @property
    def run(self) -> Path:
        """Files that are valid for one start: addresses, the lock, sockets."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"

    @property
    def broker(self) -> Path:
        return self.root / "broker"

    @property
    def env_file(self) -> Path:
        return self.run / "env"

    @property
    def lock_file(self) -> Path:
        return self.run / "lock"

    @property
    def demo_file(self) -> Path:
        return self.run / "demo.json"

    @property
    def demo_ready_file(self) -> Path:
        return self.run / "demo-ready"

    def prepare(self) -> None:
        """Create the folders. Raises SetupError."""
        as_root = os.geteuid() == 0
        try:
            # If we are root, the stores' accounts must be able to enter the folder.
            self.root.mkdir(parents=True, exist_ok=True, mode=0o711)
            os.chmod(self.root, 0o711 if as_root else 0o700)
            for folder in (self.run, self.log):
                folder.mkdir(exist_ok=True)
                os.chmod(folder, 0o700)
        except OSError as error:
            raise SetupError(
                f"IOT_DATA_DIR: cannot create or own {error.filename or self.root}: "
                f"{error.strerror}. Choose another folder, or run as its owner."
            ) from error

    def secrets(self) -> dict[str, str]:
        """The stack's passwords, created at the first start."""
        return self._remembered("secrets.json", SECRET_NAMES)

    def _remembered(self, name: str, keys: tuple[str, ...]) -> dict[str, str]:
        known = self.read_json(name)
        missing = [key for key in keys if key not in known]
        if missing:
            known |= {key: secrets.token_urlsafe(32) for key in missing}
            self.write_json(name, known)
        return {key: str(known[key]) for key in keys}

    def read_json(self, name: str) -> dict[str, object]:
        """Read a small JSON file; a missing file is empty. Raises SetupError."""
        path = self.root / name
        try:
            value = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise SetupError(
                f"{path} cannot be read ({error}). The stores of this data folder need "
                "its ports and passwords: restore it, or start with another "
                "IOT_DATA_DIR."
            ) from error
        return dict(value)

    def write_json(self, name: str, value: dict[str, object]) -> None:
        write_private(self.root / name, json.dumps(value, indent=1) + "\n")


def read_env_file(path: Path) -> dict[str, str]:
    """Read the ``KEY=value`` lines that the last start wrote."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)
