"""What the set-up shows: a line for each step, and the output of tools in log files."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from iotplatform.local import steps
from iotplatform.local.errors import SetupError
from iotplatform.local.setup import logged
from iotplatform.local.setup.logged import run_logged
from iotplatform.local.setup.progress import apt_progress, npm_progress, pip_progress
from iotplatform.local.steps import CLEAR, Display, Step


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(logged, "LOGS", tmp_path / "log" / "setup")
    return tmp_path / "log" / "setup"


def test_a_terminal_shows_all_running_steps_in_one_line_that_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    display = Display(stream)

    with Step("Installing packages", display) as packages:
        packages.show("41 of 112")
        with Step("Installing chromium", display):
            display.say("A line of its own")

    shown = stream.getvalue()
    assert f"{CLEAR}  Installing packages … 41 of 112, " in shown
    assert re.search(r"41 of 112, \d+ s · Installing chromium … \d+ s", shown)
    assert f"{CLEAR}A line of its own\n{CLEAR}  Installing packages" in shown
    assert f"{CLEAR}  Installing packages: " in shown
    assert shown.count("\n") == 3


def test_a_pipe_gets_plain_lines_and_of_a_long_step_one_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    with Step("Short", Display(stream)) as step:
        step.show("1 of 2")
    assert re.fullmatch(r"  Short: \d+\.\d s\n", stream.getvalue())

    monkeypatch.setattr(steps, "EVERY_SECONDS", 0.0)
    stream = io.StringIO()
    with Step("Long", Display(stream)) as step:
        step.show("1 of 2")
        step.show("1 of 2")
    assert re.fullmatch(r"  Long … 1 of 2\n  Long: \d+\.\d s\n", stream.getvalue())


def test_the_output_of_a_tool_goes_to_its_log(
    logs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = "import sys; print('noise'); print('more', file=sys.stderr)"

    run_logged("Tool", [sys.executable, "-c", script], log="tool", failure="No")

    shown = capfd.readouterr()
    assert re.fullmatch(r"  Tool: \d+\.\d s\n", shown.out)
    assert shown.err == ""
    assert {"noise", "more"} < set((logs / "tool.log").read_text().split())


def test_the_end_of_the_log_is_shown_when_a_tool_fails(logs: Path) -> None:
    script = "for n in range(99): print('line', n); print('pmstatus:a:40.0:Running')"
    script += "\nraise SystemExit(3)"

    with pytest.raises(SetupError) as error:
        run_logged("Tool", [sys.executable, "-c", script], log="tool", failure="Bad")

    assert f"Bad (exit status 3). The end of {logs / 'tool.log'}:\n" in str(error.value)
    assert str(error.value).endswith("    line 98")
    assert "line 70\n" not in str(error.value)


def test_a_tool_that_cannot_be_started_is_named() -> None:
    with pytest.raises(SetupError, match=r"No npm: .*'no-such-program'"):
        run_logged("Tool", ["no-such-program"], log="tool", failure="No npm")


def test_the_progress_of_pip_is_what_it_has_found_then_what_is_installed(
    tmp_path: Path,
) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    (packages / "pip-26.0.dist-info").mkdir(parents=True)
    progress = pip_progress(tmp_path)
    output = "Collecting Django==5.2\n  Downloading Django\nCollecting a>=1 (from b)\n"

    assert progress("") == ""
    assert progress(output) == "2 found"
    output += "Installing collected packages: a, b, Django\n"
    assert progress(output) == "0 of 3"
    (packages / "a-1.dist-info").mkdir()
    assert progress(output) == "1 of 3"


def test_the_progress_of_npm_is_what_of_its_lock_file_is_there(tmp_path: Path) -> None:
    lock = tmp_path / "package-lock.json"
    names = ["", "node_modules/a", "node_modules/@b/c"]
    lock.write_text(json.dumps({"packages": {name: {} for name in names}}))
    progress = npm_progress(lock, tmp_path / "node_modules")

    assert progress("") == "0 of 2"
    (tmp_path / "node_modules/@b/c").mkdir(parents=True)
    (tmp_path / "node_modules/@b/c/package.json").touch()
    assert progress("") == "1 of 2"


def test_the_progress_of_apt_is_half_downloads_half_installing() -> None:
    assert apt_progress("Reading package lists...\n") == ""
    assert apt_progress("dlstatus:1:50.0:Retrieving\n") == "25 %"
    assert apt_progress("dlstatus:1:50:x\npmstatus:chromium:30.5:Unpacking\n") == "65 %"
