"""Switches protections of a stack off, for the tests that the ledger notices it.

Python imports a module of this name at its start where PYTHONPATH names this folder.
Production code knows nothing of it. The file that SWITCHES names says what is off now;
between a claim and its publish there is a pause, often longer than the lease, as on a
machine that is too busy.
"""

from __future__ import annotations

import importlib.util
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SWITCHES = os.environ.get("IOT_TEST_SWITCHES", "")
PAUSE_SECONDS = (0.5, 4.5)  # shorter than what makes another bridge adopt its slot
LEASE_SECONDS = 2.0


def is_off(protection: str) -> bool:
    try:
        with open(SWITCHES) as file:
            return protection in file.read().split()
    except OSError:
        return False


def change_dispatch(module: Any) -> None:
    """Pause before the check; leave the check, or the fence, out of it."""
    find_publishable, lock_claims = module.find_publishable, module.lock_claims

    def find(claims: Any, *, now: datetime) -> Any:
        time.sleep(random.uniform(*PAUSE_SECONDS))
        if is_off("recheck"):
            return {public_id for public_id, _ in claims}
        if is_off("fencing"):
            ids = [public_id for public_id, _ in claims]
            # A cancelled one still stays behind; whose claim it is nobody asks.
            rows = module.Command.objects.filter(public_id__in=ids, ended_at=None)
            return set(rows.values_list("public_id", flat=True))
        return find_publishable(claims, now=datetime.now(UTC))

    def lock(claims: Any) -> Any:
        if not is_off("fencing"):
            return lock_claims(claims)
        wanted = [public_id for public_id, _ in claims]
        rows = module.Command.objects.filter(public_id__in=wanted).order_by("pk")
        return list(rows.select_for_update())

    module.find_publishable, module.lock_claims = find, lock


def change_commands(module: Any) -> None:
    """Forget idempotency keys."""
    claim_key = module.claim_key

    def claim(*args: Any, **kwargs: Any) -> Any:
        return None if is_off("dedupe") else claim_key(*args, **kwargs)

    module.claim_key = claim


def change_downlink(module: Any) -> None:
    module.LEASE_SECONDS = LEASE_SECONDS


CHANGES: dict[str, Callable[[Any], None]] = {
    "commands.services.dispatch": change_dispatch,
    "commands.services.commands": change_commands,
    "iotplatform.adapters.mqtt.downlink": change_downlink,
}


class Changing(Loader):
    """Loads a module as usual, then changes it."""

    def __init__(self, loader: Loader, change: Callable[[Any], None]) -> None:
        self._loader, self._change = loader, change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._change(module)


class Finder(MetaPathFinder):
    """Finds the modules that are to be changed, as usual."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        change = CHANGES.get(name)
        if change is None:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            spec.loader = Changing(spec.loader, change)
        return spec


if SWITCHES:
    sys.meta_path.insert(0, Finder())
