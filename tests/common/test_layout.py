"""The five apps and iotplatform/ have one layout: each kind of code has its place."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

import pytest

BASE = Path(__file__).resolve().parent.parent.parent
APPS = ("registry", "state", "commands", "fleet", "console")
# Modules and packages that every app may have.
FILES = {"__init__", "apps", "choices", "exceptions", "tasks"}
PACKAGES = {"admin", "api", "migrations", "models", "selectors", "services"}
# What only one app has. Add a line here for a new module, and say what belongs in it.
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
        "config_schemas",  # merge patches, by what a product declares
        "definitions",  # the built-in commands
        "expectations",  # what a device must report: templates and their filling
        "failure_rules",  # which row of a policy says what follows a failure
        "latency_buckets",  # latencies as a histogram
        "lifecycle",  # the allowed transitions of a command's status
        "rollouts",  # a job's rollout policy, as requested and as stored
        "validation",  # of params and policies
        "windows",  # a job's hours in the local time of each site
    },
    "fleet": {
        "documents",  # a device's document for the index
        "file_responses",  # answers that hand out files
        "fields",  # the searchable fields
        "normal_forms",  # what every index keeps of a value
        "policy_templates",  # variables in the texts of standing policies
        "provenance",  # of each field: fact, reported or judged
    },
    "console": {
        "middleware",  # the reader's time zone
        "context",  # what every page shows
        "definitions",  # the built-in playbooks
        "npm_finder",  # front-end files in node_modules
        "paging",  # pages of lists
        "scope",  # the tenant and access of a page's user
        "urls",
        "validation",  # of a playbook's steps
    },
}
OWN_PACKAGES = {
    "registry": set(),
    "state": {"judgment"},
    "commands": {"judgment"},
    "fleet": {"backends", "query"},
    "console": {"auth", "forms", "judgment", "presenters", "templatetags", "views"},
}


# iotplatform/ is no app of this layout: its modules and packages, all of them.
PLATFORM_FILES = {
    "__init__",
    "admin_config",  # Django's admin as an installed app
    "admin_site",  # the site of the admin
    "apps",
    "beat",  # the scheduler, of which one sends
    "celery",  # the schedule of all periodic tasks
    "checks",  # system checks of settings
    "device_urls",  # the URLs of the device process
    "error_pages",  # answers to errors
    "middleware",  # checks of requests that hold for every page
    "settings",
    "urls",
    "wsgi",
}
PLATFORM_PACKAGES = {
    "adapters",  # where devices connect: MQTT and HTTP
    "common",  # code that every app may import
    "database",  # row security and the roles of processes
    "formats",  # how the admin writes dates
    "local",  # the embedded stack
    "management",  # commands of manage.py
    "monitoring",  # metrics and readiness
    "openapi",  # the OpenAPI document
    "simulator",  # simulated devices and the demo fleet
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
def test_every_module_is_where_the_layout_expects_it(app: str) -> None:
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


def test_every_module_of_iotplatform_is_where_the_layout_expects_it() -> None:
    found = modules("iotplatform")

    files = {path.stem for path in found if len(path.parts) == 2}
    packages = {path.parts[1] for path in found if len(path.parts) > 2}
    assert files == PLATFORM_FILES
    assert packages == PLATFORM_PACKAGES
    assert not files & packages


@pytest.mark.parametrize("app", APPS)
def test_every_listed_module_exists(app: str) -> None:
    tops = {path.parts[1].removesuffix(".py") for path in modules(app)}

    assert OWN_FILES[app] | OWN_PACKAGES[app] <= tops


@pytest.mark.parametrize("app", APPS)
def test_serializers_are_in_the_api_package(app: str) -> None:
    wrong = [
        str(path)
        for path in modules(app)
        if ("serializers" in path.stem or path.stem.endswith("_api"))
        and path.parts[1] != "api"
    ]

    assert wrong == []


@pytest.mark.parametrize("app", APPS)
def test_no_module_has_the_name_of_a_package(app: str) -> None:
    packages = {path.parts[1] for path in modules(app) if len(path.parts) > 2}

    assert not any((BASE / app / f"{name}.py").exists() for name in packages)
