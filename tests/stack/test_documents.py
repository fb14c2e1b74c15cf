"""Every snippet of the README and of docs/ runs as it stands, in order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.documents import DOCUMENTS, snippets_of

pytestmark = pytest.mark.stack

# How many snippets a document has, so that none drops out unnoticed; and what their
# output contains, in this order.
EXPECTED: dict[str, tuple[int, list[str]]] = {
    "README.md": (
        3,
        [
            *('"uid":"dev-1"', '"lifecycle":"active"', '"name":"reboot"'),
            *('"status":"succeeded"', '"firmware":"1.4.2"', '"facets":'),
        ],
    ),
    "docs/device-guide.md": (0, []),
    "docs/enrolment.md": (
        6,
        ['"mqtt_url":', '"lifecycle":"active"', '"taken":1', "enrol-2", "2"],
    ),
    "docs/http-devices.md": (
        4,
        [
            *('"uid":"http-1"', '"taken":2', '"name":"identify"', "succeeded"),
            *("'interval': 30", "verified"),
        ],
    ),
    "docs/import.md": (
        5,
        [
            *('{"created":2}', '{"created":2}', '{"created":2}'),
            *('"line":2', '"line":3', "nothing was imported", '"uid": "file-1"'),
        ],
    ),
    "docs/incidents.md": (0, []),
    "docs/notifications.md": (0, []),
    "docs/people.md": (2, ['"role":"operator"', '"results":']),
    "docs/playbooks.md": (0, []),
    "docs/production.md": (0, []),
    "docs/protocol.md": (0, []),
    "docs/scripts.md": (
        12,
        [
            *('"index_lag_seconds":', '"known_by":', "somebody was faster"),
            *("cancelled", '"built_in":false', "approval", "cancelled"),
            *('"target_hash":', '"left_out":', '"overruled":0', '"sha256":'),
            '"lifecycle":"replaced"',
        ],
    ),
    "docs/webhooks.md": (0, []),
}


def test_every_document_is_known() -> None:
    assert sorted(EXPECTED) == DOCUMENTS


@pytest.mark.parametrize("document", EXPECTED)
def test_the_snippets_run_as_they_stand(
    document: str, platform_stack: Any, tmp_path: Path
) -> None:
    count, expected = EXPECTED[document]
    snippets = snippets_of(document)
    assert len(snippets) == count
    if not snippets:
        return

    output = run_in_one_shell(snippets, platform_stack, tmp_path)

    place = 0
    for text in expected:
        found = output.find(text, place)
        assert found >= 0, f"{text} is missing after {place} in\n{output}"
        place = found + len(text)


def run_in_one_shell(snippets: list[str], platform: Any, folder: Path) -> str:
    """Run them like somebody who pastes them; the first failure ends the session."""
    numbered = enumerate(snippets, start=1)
    script = "".join(f"echo '-- snippet {n}'\n{text}" for n, text in numbered)
    python = Path(sys.executable).parent
    done = subprocess.run(
        # `timeout` also ends what the shell has started.
        ["timeout", "180", "bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={
            **os.environ,
            "URL": platform.url,
            "MQTT_PORT": str(platform.mqtt_port),
            "PATH": f"{python}:{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
