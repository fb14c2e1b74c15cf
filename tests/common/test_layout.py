"""One layout for five apps: each kind of thing stands in the same place in each."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

import pytest

BASE = Path(__file__).resolve().parent.parent.parent
APPS = ("registry", "state", "commands", "fleet", "console")
# Modules and packages that every app may have.
FILES = {"__init__", "apps", "choices", "exceptions", "tasks"}
PACKAGES = {"admin", "api", "migrations", "models", "selectors", "services"}
# What one app has besides; who adds to it says in a line what belongs there.
OWN_FILES = {
    "registry": {
        "authentication",  # API tokens, for DRF
        "certificates",  # a client certificate's subject
        "device_secrets",  # verifiers of device secrets
        "file_responses",  # answers that hand out files
        "member_limit",  # the projects and sites of a limited member
        "middleware",  # the tenant scope of a request
        "paths",  # paths of spaces
        "permissions",  # what each role may do
        "tenant_scope",  # opens the tenant scope for a caller
        "validators",  # of fields
    },
    "state": set(),
    "commands": {
        "definitions",  # the built-in commands
        "lifecycle",  # the diagram of moves
        "rollouts",  # a job's rollout policy, as asked for and as kept
        "validation",  # of params and policies
    },
    "fleet": {
        "documents",  # a device's document for the index
        "fields",  # the searchable fields
        "provenance",  # of each field: fact, reported or judged
        "version_key",  # the order of versions
    },
    "console": {
        "context",  # what every page shows
        "npm_finder",  # front-end files in node_modules
        "paging",  # pages of lists
        "scope",  # whose page it is
        "urls",
    },
}
OWN_PACKAGES = {
    "registry": set(),
    "state": {"judgment"},
    "commands": set(),
    "fleet": {"backends", "query"},
    "console": {"auth", "forms", "presenters", "templatetags", "views"},
}


def modules(app: str) -> list[PurePosixPath]:
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            f"{app}/*.py",
        ],
        cwd=BASE,
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        PurePosixPath(line)
        for line in listed.stdout.splitlines()
        if (BASE / line).exists()
    ]


@pytest.mark.parametrize("app", APPS)
def test_every_module_stands_where_the_layout_says(app: str) -> None:
    found = modules(app)

    strange = []
    for path in found:
        top = path.parts[1]
        if len(path.parts) == 2:
            known = path.stem in FILES | OWN_FILES[app]
        else:
            known = top in PACKAGES | OWN_PACKAGES[app]
        if not known:
            strange.append(str(path))
    assert found
    assert strange == []


@pytest.mark.parametrize("app", APPS)
def test_nothing_is_named_that_is_not_there(app: str) -> None:
    tops = {path.parts[1].removesuffix(".py") for path in modules(app)}

    assert OWN_FILES[app] | OWN_PACKAGES[app] <= tops


@pytest.mark.parametrize("app", APPS)
def test_serializers_and_addresses_stand_in_the_api(app: str) -> None:
    wrong = [
        str(path)
        for path in modules(app)
        if ("serializers" in path.stem or path.stem.endswith("_api"))
        and path.parts[1] != "api"
    ]

    assert wrong == []


@pytest.mark.parametrize("app", APPS)
def test_no_module_hides_behind_a_package_of_its_name(app: str) -> None:
    packages = {path.parts[1] for path in modules(app) if len(path.parts) > 2}

    assert not any((BASE / app / f"{name}.py").exists() for name in packages)
