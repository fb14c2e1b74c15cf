"""Who comes into the admin, and what each model's admin is to them: the written table.

``test_roles`` tries all of it; an admin or an action that is missing here fails
there by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from registry.choices import Role
from registry.models import (
    Device,
    Membership,
    MembershipLimit,
    Product,
    Project,
    Site,
    Tenant,
)
from registry.permissions import RIGHTS_OF_ROLE, Right
from tests.factories import MembershipFactory, UserFactory
from tests.isolation.rows import Rows

ADD, CHANGE, DELETE = "add", "change", "delete"
ALL = frozenset({ADD, CHANGE, DELETE})
NONE: frozenset[str] = frozenset()


@dataclass
class Part:
    """Rows of a tenant or its places: one of each kind, and one without references."""

    rows: Rows
    spare: dict[type[Any], Any] = field(default_factory=dict)

    def row(self, model: type[Any]) -> Any:
        """Return the one that can be changed and deleted, where there is such a one."""
        found = self.spare.get(model) or self.rows.made.get(model)
        return found or model._default_manager.order_by("pk").first()


@dataclass(frozen=True)
class Act:
    """An action of a list: the right it needs, and the form that confirms it.

    Rows of ours change by it, or the answer is something to keep (a file, a secret).
    """

    right: Right | None = Right.MANAGE  # None: superusers only
    says: Callable[[Part, Part], dict[str, Any]] | None = None
    lifecycle: str = ""  # the lifecycle before the action
    changes: bool = True


@dataclass(frozen=True)
class AdminRules:
    """What a model's admin is: whose right opens it, and what may be done there."""

    right: Right | None = Right.MANAGE  # None: superusers only
    writes: frozenset[str] = NONE
    # Rows without a place: limited members see them and may do only these writes.
    is_of_whole_tenant: bool = False
    limited_writes: frozenset[str] = ALL
    writes_of_a_site: frozenset[str] = ALL  # of members limited to a site
    limits: frozenset[str] = frozenset({"site", "project"})  # that include such rows
    platform_writes: frozenset[str] = NONE  # of superusers, in addition
    actions: dict[str, Act] = field(default_factory=dict)


PLATFORM = AdminRules(None)
ENDED = AdminRules(
    None,
    platform_writes=frozenset({DELETE}),
    actions={"delete_selected": Act(None, lambda *_: {"post": "yes"})},
)
LOOKED_AT = AdminRules()
WHOLE = AdminRules(writes=ALL, is_of_whole_tenant=True, limited_writes=NONE)
PLACED = AdminRules(writes=ALL)


def _why(*_: Part) -> dict[str, Any]:
    return {"reason": "because"}


def _successor(ours: Part, _: Part) -> dict[str, Any]:
    return {"replaced_by": ours.spare[Device].pk, "reason": "because"}


def _away(_: Part, theirs: Part) -> dict[str, Any]:
    to = {n: theirs.rows.of(m).pk for n, m in (("tenant", Tenant), ("site", Site))}
    return {**to, "product": theirs.rows.of(Product).pk, "reason": "because"}


def _move(before: str) -> Act:
    return Act(says=_why, lifecycle=before)


DEVICE = {
    "provision": _move("retired"),
    "activate": _move("provisioned"),
    "send_to_repair": _move("active"),
    "retire": _move("active"),
    "tag": Act(says=lambda *_: {"add": "winter", "remove": ""}),
    "issue": Act(),
    "export_as_csv": Act(changes=False),
    "export_as_ndjson": Act(changes=False),
    "replace": Act(says=_successor, lifecycle="active"),
    # Needs both tenants: here only a superuser administers both.
    "transfer": Act(None, _away, "active"),
}
TABLE: dict[str, AdminRules] = {
    **dict.fromkeys(
        (
            *("axes.AccessFailureLog", "axes.AccessLog", "fleet.IndexState"),
            *("state.AdapterPath", "state.ListeningSlot"),
        ),
        PLATFORM,
    ),
    **dict.fromkeys(
        (
            *("axes.AccessAttempt", "mfa.Authenticator", "usersessions.UserSession"),
            "socialaccount.SocialAccount",
        ),
        ENDED,
    ),
    **dict.fromkeys(
        (
            *("commands.Command", "commands.Job", "fleet.Snapshot"),
            *("fleet.SnapshotMember", "registry.LifecycleMove", "state.Alarm"),
            *("state.AlarmChange", "state.ConnectivityTransition", "state.DeadLetter"),
            *("state.FieldFeedback", "state.MaintenancePlace", "state.Risk"),
            "state.TwinChange",
        ),
        LOOKED_AT,
    ),
    "account.EmailAddress": AdminRules(
        None,
        platform_writes=ALL,
        actions={**ENDED.actions, "make_verified": Act(None)},
    ),
    "registry.User": AdminRules(None, platform_writes=ALL, actions=ENDED.actions),
    "registry.ApiToken": AdminRules(
        None, platform_writes=frozenset({ADD}), actions={"revoke": Act(None)}
    ),
    "registry.Tenant": AdminRules(is_of_whole_tenant=True, platform_writes=ALL),
    "registry.Project": AdminRules(
        writes=ALL, limited_writes=NONE, limits=frozenset({"project"})
    ),
    # Members limited to the project make and delete its sites.
    "registry.Site": AdminRules(writes=ALL, writes_of_a_site=frozenset({CHANGE})),
    "registry.Space": PLACED,
    **dict.fromkeys(
        (
            *("registry.Product", "registry.HardwareRevision", "registry.Batch"),
            *("registry.FirmwareRelease", "state.AlarmRule"),
            "commands.CommandDefinition",
        ),
        WHOLE,
    ),
    "registry.Device": AdminRules(writes=frozenset({ADD, CHANGE}), actions=DEVICE),
    "registry.Credential": AdminRules(actions={"revoke": Act()}),
    # Limited members see their own: errors name devices of the whole tenant.
    "registry.DeviceImport": AdminRules(writes=frozenset({ADD}), limits=NONE),
    "registry.EnrolmentKey": AdminRules(
        writes=frozenset({ADD, CHANGE}), actions={"revoke": Act()}
    ),
    "registry.Membership": AdminRules(Right.ADMINISTER, ALL),
    "registry.AuditEntry": AdminRules(Right.AUDIT),
    "fleet.Cohort": AdminRules(writes=ALL, is_of_whole_tenant=True),
    "state.MaintenanceWindow": PLACED,
}


@dataclass
class Person:
    """A person who uses the admin."""

    name: str
    client: Client
    role: str = ""
    limit: str = ""  # empty, or the field that names the place
    is_superuser: bool = False
    is_staff: bool = True

    @property
    def rights(self) -> frozenset[Right]:
        """What they may do in their tenant, if they come in at all."""
        if self.is_superuser:
            return frozenset(Right)
        rights = RIGHTS_OF_ROLE.get(self.role, frozenset())
        return rights if self.is_staff and Right.MANAGE in rights else frozenset()

    def holds(self, right: Right | None) -> bool:
        """Whether they may do this in their tenant; what needs none, in no tenant."""
        return self.is_superuser or right in self.rights

    def sees(self, rules: AdminRules) -> bool:
        """Whether they look at a model's rows at all."""
        return self.holds(rules.right)

    def may(self, rules: AdminRules, what: str) -> bool:
        """Whether they add, change or delete rows of their places."""
        if self.is_superuser:
            return what in rules.writes | rules.platform_writes
        allowed = rules.writes & rules.limited_writes if self.limit else rules.writes
        if self.limit == "site":
            allowed &= rules.writes_of_a_site
        return self.sees(rules) and what in allowed


def people_of(rows: Rows) -> dict[str, Person]:
    """Return everybody of a tenant: each role with and without a limit, and others.

    An admin has no limit, by the rule of ``registry.services.people``.
    """
    found = [
        Person("superuser", _in(is_superuser=True, is_staff=True), is_superuser=True),
        Person("staff of nothing", _in(is_staff=True)),
    ]
    for role in Role.values:
        found.append(Person(role, _member(rows, role), role))
        for limit in ("site", "project") if role != Role.ADMIN else ():
            name = f"{role} of a {limit}"
            found.append(Person(name, _member(rows, role, limit), role, limit))
    outside = MembershipFactory(tenant=rows.tenant, role=Role.ADMIN).user
    name = "admin who is no staff"
    found.append(Person(name, _of(outside), Role.ADMIN, is_staff=False))
    return {person.name: person for person in found}


def _member(rows: Rows, role: str, limit: str = "") -> Client:
    member: Membership = MembershipFactory(
        tenant=rows.tenant, role=role, user=UserFactory(is_staff=True)
    )
    if limit:
        place = {limit: rows.of({"site": Site, "project": Project}[limit])}
        MembershipLimit.objects.create(tenant=rows.tenant, membership=member, **place)
    return _of(member.user)


def _in(**fields: Any) -> Client:
    return _of(UserFactory(**fields))


def _of(user: Any) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client
