"""Asks the running simulator for a scene, and waits until it plays."""

from __future__ import annotations

import time
from pathlib import Path

from iotplatform.simulator.scenes.choice import Choice
from iotplatform.simulator.scenes.stage import (
    Request,
    read_request,
    request_path,
    write_request,
)

SHORTEST, LONGEST = 1, 60  # minutes
SEEN_WITHIN_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.2


class SceneRefused(Exception):
    """The scene cannot be played now."""


def require_free(folder: Path, *, minutes: int) -> None:
    """Raise SceneRefused for a time out of range, and while a scene plays."""
    if not SHORTEST <= minutes <= LONGEST:
        raise SceneRefused(f"--minutes must be from {SHORTEST} to {LONGEST}")
    playing = read_request(request_path(folder))
    left = playing.until - time.time() if playing is not None else 0
    if playing is not None and left > 0:
        raise SceneRefused(
            f"{playing.scene} still plays, for {left:.0f} seconds; wait for its end,"
            f" or delete {request_path(folder)} to end it now"
        )


def ask_for_scene(scene: str, choice: Choice, *, folder: Path, minutes: int) -> None:
    """Ask for it, and return once it plays; SceneRefused: nobody plays it."""
    path = request_path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    until = time.time() + minutes * 60
    asked = Request(
        scene=scene, uids=list(choice.uids), until=until, version=choice.version
    )
    write_request(path, asked)
    deadline = time.monotonic() + SEEN_WITHIN_SECONDS
    while time.monotonic() < deadline:
        seen = read_request(path)
        if seen is not None and seen.playing >= 0:
            return
        time.sleep(LOOK_EVERY_SECONDS)
    path.unlink(missing_ok=True)
    raise SceneRefused(f"no simulator runs in {folder.parent}: start `make demo` first")
