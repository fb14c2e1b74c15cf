"""Finds static files of npm packages: only those that a page uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage, Storage

# prefix under /static/ → (folder of node_modules, patterns below it). Whole packages
# would bring ten megabytes of variants that nothing refers to.
LIBRARIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "vendor/htmx": ("htmx.org/dist", ("htmx.min.js",)),
    "vendor/tabler": (
        "@tabler/core/dist/css",
        # The map is named in the file, so hashed file names need it.
        ("tabler.min.css", "tabler.min.css.map"),
    ),
    "vendor/uplot": ("uplot/dist", ("uPlot.esm.js", "uPlot.min.css")),
    "vendor/inter": (
        "@fontsource-variable/inter",
        ("wght.css", "files/inter-*-wght-normal.woff2"),
    ),
    "vendor/mono": (
        "@fontsource/jetbrains-mono",
        (
            "latin-[46]00.css",
            "files/jetbrains-mono-latin-[46]00-normal.woff",
            "files/jetbrains-mono-latin-[46]00-normal.woff2",
        ),
    ),
}


class NpmFinder(BaseFinder):
    """Finds the files of LIBRARIES in node_modules; none if npm has not run."""

    def check(self, **kwargs: Any) -> list[Any]:
        """Check nothing: a missing folder means that npm was not run here."""
        return []

    def find(self, path: str, find_all: bool = False) -> Any:
        """Return the file of a static path, or an empty list."""
        for prefix, (folder, patterns) in LIBRARIES.items():
            if not path.startswith(f"{prefix}/"):
                continue
            name = path.removeprefix(f"{prefix}/")
            file = Path(settings.NODE_MODULES) / folder / name
            if any(fnmatch(name, pattern) for pattern in patterns) and file.is_file():
                return [str(file)] if find_all else str(file)
        return []

    def list(
        self, ignore_patterns: Iterable[str] | None
    ) -> Iterator[tuple[str, Storage]]:
        """Yield each file with its storage."""
        for prefix, (folder, patterns) in LIBRARIES.items():
            root = Path(settings.NODE_MODULES) / folder
            storage = FileSystemStorage(location=str(root))
            storage.prefix = prefix  # type: ignore[attr-defined]
            for pattern in patterns:
                for file in sorted(root.glob(pattern)):
                    yield str(file.relative_to(root)), storage
