"""Forms of the admin: what a page would send back, and what makes each kind of row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from html.parser import HTMLParser
from itertools import count
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from registry.models import (
    Batch,
    Device,
    HardwareRevision,
    Product,
    Project,
    Site,
    Space,
    Tenant,
    User,
)
from tests.isolation.rows import Rows

Body = dict[str, Any]
_numbers = count(1)
# Fields that refer to other rows, and the kind of these.
REFERENCES: dict[str, type[Any]] = {
    "tenant": Tenant,
    "project": Project,
    "projects": Project,
    "site": Site,
    "sites": Site,
    "space": Space,
    "parent": Space,
    "product": Product,
    "products": Product,
    "hardware_revision": HardwareRevision,
    "hardware_revisions": HardwareRevision,
    "batch": Batch,
    "devices": Device,
}


def sent_by(text: str, form_id: str) -> dict[str, list[str]]:
    """Return what a page's form would send if nobody touched it."""
    parser = _Form(form_id)
    parser.feed(text)
    return parser.sent


class _Form(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id = form_id
        self.is_inside = False
        self.sent: dict[str, list[str]] = {}
        self._select = self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "form":
            self.is_inside = given.get("id") == self.form_id
        elif not self.is_inside:
            return
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in given:
            self._put(self._select, value)
        elif tag == "textarea":
            self._area = name
            self._put(name, "")
        elif tag == "input" and name != "csrfmiddlewaretoken":
            kind = given.get("type")
            is_given = "checked" in given if kind in ("checkbox", "radio") else True
            if is_given and kind not in ("submit", "file"):
                self._put(name, value if kind != "checkbox" else value or "on")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.is_inside = False
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.sent[self._area][-1] += data

    def _put(self, name: str, value: str) -> None:
        if name:
            self.sent.setdefault(name, []).append(value)


def body_for(model: Any, rows: Rows) -> Body:
    """Return a body that makes a new row beside the tenant's others."""
    return BODIES[model._meta.label](rows, f"new-{next(_numbers)}")


def with_others_rows(body: Body, others: Rows) -> Iterator[Body]:
    """Yield the body with each row that it names in turn replaced by another's."""
    for name in body.keys() & REFERENCES.keys():
        other = others.of(REFERENCES[name]).pk
        if other != body[name]:
            yield body | {name: other}
    if "gateway" in body:
        yield body | {"kind": "child", "gateway": others.of(Device).pk}
    if "devices" in body:
        yield {k: v for k, v in body.items() if k != "devices"} | {
            "sites": others.of(Site).pk
        }


def _own(rows: Rows, *names: str) -> Body:
    """Return the tenant, and the tenant's rows that these fields name."""
    return {n: rows.of(REFERENCES[n]).pk for n in ("tenant", *names)}


def _slugged(*names: str, **more: Any) -> Callable[[Rows, str], Body]:
    return lambda rows, word: {
        **{"slug": word, "name": word},
        **_own(rows, *names),
        **more,
    }


def _at(name: str, hours: int) -> Body:
    at = timezone.localtime() + timedelta(hours=hours)
    return {f"{name}_0": f"{at:%Y-%m-%d}", f"{name}_1": f"{at:%H:%M:%S}"}


def _file(word: str, name: str, content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content + word.encode())


def _rule(rows: Rows, word: str) -> Body:
    return {
        **{"name": word, "code": word, "metric": word, "comparison": ">"},
        **{"threshold": "40", "hysteresis": "1", "hold_seconds": "60"},
        **{"severity": "warning", "enabled": "on"},
        **_own(rows, "product"),
    }


def _device(rows: Rows, word: str) -> Body:
    parts = ("site", "project", "space", "product", "hardware_revision", "batch")
    return {
        **{"uid": word, "name": word, "serial": word, "gateway": ""},
        **{"kind": "standalone", "adapter": "mqtt", "tags": "", "attributes": "{}"},
        **_own(rows, *parts),
    }


def _person(rows: Rows, word: str) -> Body:
    password = {n: "a-long-pass-phrase" for n in ("password1", "password2")}
    return {"username": word, "usable_password": "true", **password}


BODIES: dict[str, Callable[[Rows, str], Body]] = {
    "registry.Tenant": lambda rows, word: {"slug": word, "name": word},
    "registry.Project": _slugged(),
    "registry.Site": _slugged("project", time_zone="UTC", region="", country=""),
    "registry.Space": _slugged("site", kind="floor", parent=""),
    "registry.Product": _slugged(
        **{"kind": "standalone", "heartbeat_seconds": "60", "takes_commands": "on"},
        **{"attributes_schema": "{}", "metrics": "[]", "reported_keys": "[]"},
        **{"config_schema": "{}"},
    ),
    "registry.HardwareRevision": _slugged("product", notes=""),
    "registry.Batch": _slugged("hardware_revision", notes="", **_at("made_at", 0)),
    "registry.Device": _device,
    "registry.DeviceImport": lambda rows, word: {
        **_own(rows),
        **{"file": _file(word, "new.csv", b"uid\n"), "is_dry_run": "on"},
    },
    "registry.EnrolmentKey": lambda rows, word: {
        **{"name": word, "max_devices": "5"},
        **_own(rows, "product", "batch", "site"),
        **_at("expires_at", 24),
    },
    "registry.FirmwareRelease": lambda rows, word: {
        **{"version": word[:32], "signature": "", "notes": word},
        **_own(rows, "products", "hardware_revisions"),
        "file": _file(word, "new.bin", b"firmware"),
    },
    "registry.Membership": lambda rows, word: {
        **{"user": User.objects.create(username=word).username, "role": "viewer"},
        **_own(rows, "projects", "sites"),
    },
    "registry.User": _person,
    "registry.ApiToken": lambda rows, word: {
        **{"user": rows.of(User).pk, "name": word, "scopes": ["read"]},
        **_at("expires_at", 24),
    },
    "account.EmailAddress": lambda rows, word: {
        **{"user": rows.of(User).pk, "email": f"{word}@example.org"},
    },
    "commands.CommandDefinition": lambda rows, word: {
        **{"name": word, "command_class": "operation", "danger": "none"},
        **{"params_schema": "{}", "policy": "{}", "reactions": "{}"},
        **{"description": "", "expectation": "null"},
        **_own(rows, "product"),
    },
    "fleet.Cohort": lambda rows, word: {"name": word, "query": "*", **_own(rows)},
    "state.AlarmRule": _rule,
    "state.MaintenanceWindow": lambda rows, word: {
        **{"reason": word},
        **_own(rows, "devices"),
        **_at("from_at", 0),
        **_at("until", 2),
    },
}
# Unique fields of rows that have no slug.
TAKEN = {
    "commands.CommandDefinition": "name",
    "fleet.Cohort": "name",
    "state.AlarmRule": "code",
}
# The field that an attempt changes, so that the change can be checked.
CHANGES: dict[str, Body] = {
    **{
        f"registry.{name}": {"name": "renamed"}
        for name in (
            *("Tenant", "Project", "Site", "Space", "Product", "HardwareRevision"),
            *("Batch", "Device", "EnrolmentKey"),
        )
    },
    "registry.FirmwareRelease": {"notes": "renamed"},
    "registry.Membership": {"role": "operator"},
    "registry.User": {"first_name": "renamed"},
    "account.EmailAddress": {"email": "renamed@example.org"},
    "commands.CommandDefinition": {"description": "renamed"},
    "fleet.Cohort": {"name": "renamed"},
    "state.AlarmRule": {"name": "renamed"},
    "state.MaintenanceWindow": {"reason": "renamed"},
}
