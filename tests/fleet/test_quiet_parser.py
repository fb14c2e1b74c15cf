"""Loading the parser of queries prints nothing and writes nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from luqum import tree

from tests.platform_process import BASE

LOAD = (
    "from fleet.query import lucene; print(repr(lucene.parse('site:a AND b:[1 TO 2]')))"
)


def test_tables_of_another_python_are_used_without_output_and_without_files(
    tmp_path: Path,
) -> None:
    # Given luqum as Python 3.13 finds it: its checksum over docstrings is another one.
    luqum = tmp_path / "luqum"
    shutil.copytree(Path(tree.__file__).parent, luqum)
    tables = (luqum / "parsetab.py").read_text()
    stale = re.sub(
        r"(?m)^_lr_signature = '", "_lr_signature = 'of another Python ", tables
    )
    assert stale != tables
    (luqum / "parsetab.py").write_text(stale)
    before = {path: path.read_bytes() for path in luqum.rglob("*.*")}

    # When a process loads the parser of queries.
    done = subprocess.run(
        [sys.executable, "-B", "-W", "always::SyntaxWarning", "-c", LOAD],
        cwd=BASE,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    # Then it reads queries, and nothing else happened.
    assert done.stderr == ""
    assert done.stdout.startswith("AndOperation(SearchField('site'")
    assert {path: path.read_bytes() for path in luqum.rglob("*.*")} == before
