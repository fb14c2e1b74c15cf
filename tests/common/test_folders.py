"""Folders in memory: where they are, and what a killed run leaves there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.folders import DAY, MEMORY, PREFIX, has_room, new_folder, remove_leftovers


def test_only_old_folders_of_processes_that_ended_are_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    old, young, ours, others = (
        tmp_path / f"{PREFIX}{ended.pid}-old",
        tmp_path / f"{PREFIX}{ended.pid}-young",
        tmp_path / f"{PREFIX}{os.getpid()}-ours",
        tmp_path / "others",
    )
    for folder in (old, young, ours, others):
        (folder / "data").mkdir(parents=True)
        if folder is not young:
            os.utime(folder, (0, folder.stat().st_mtime - 2 * DAY))

    remove_leftovers(tmp_path)

    assert sorted(tmp_path.iterdir()) == sorted([young, ours, others])


def test_a_folder_is_in_memory_where_there_is_room(tmp_path: Path) -> None:
    folder = new_folder("try")
    shutil.rmtree(folder)

    assert (folder.parent == MEMORY) == has_room()
    assert not has_room(tmp_path / "nowhere")
