"""Detect whether the collected static files are out of date."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders

STAMP = ".collected"


def fingerprint() -> str:
    """A hash over name, size and time of all static files of the checkout."""
    digest = hashlib.sha256(repr(settings.STORAGES).encode())
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = os.stat(storage.path(path))
            entry = f"{storage.location}/{path} {status.st_size} {status.st_mtime_ns}\n"
            digest.update(entry.encode())
    return digest.hexdigest()


def are_collected() -> bool:
    """Whether nothing has changed since the last collectstatic, which takes seconds."""
    try:
        return (Path(settings.STATIC_ROOT) / STAMP).read_text() == fingerprint()
    except OSError:
        return False


def remember_collected() -> None:
    (Path(settings.STATIC_ROOT) / STAMP).write_text(fingerprint())
