"""The lifecycle of a device, and the other fixed choices of the registry."""

from django.db import models


class Lifecycle(models.TextChoices):
    """How far a device is in its life; moved by people, never by a message."""

    PROVISIONED = "provisioned", "provisioned"  # registered; may connect, no alarms
    ACTIVE = "active", "active"  # in service
    IN_REPAIR = "in_repair", "in repair"  # out of service for a while, may connect
    RETIRED = "retired", "retired"  # out of service; its credentials are revoked
    REPLACED = "replaced", "replaced"  # a successor stands in its place


MOVES: dict[Lifecycle, frozenset[Lifecycle]] = {
    Lifecycle.PROVISIONED: frozenset(
        {Lifecycle.ACTIVE, Lifecycle.RETIRED, Lifecycle.REPLACED}
    ),
    Lifecycle.ACTIVE: frozenset(
        {Lifecycle.IN_REPAIR, Lifecycle.RETIRED, Lifecycle.REPLACED}
    ),
    Lifecycle.IN_REPAIR: frozenset(
        {Lifecycle.ACTIVE, Lifecycle.RETIRED, Lifecycle.REPLACED}
    ),
    Lifecycle.RETIRED: frozenset({Lifecycle.PROVISIONED}),
    Lifecycle.REPLACED: frozenset(),
}

CONNECTS = frozenset({Lifecycle.PROVISIONED, Lifecycle.ACTIVE, Lifecycle.IN_REPAIR})
TAKES_COMMANDS = CONNECTS
JOINS_JOBS = frozenset({Lifecycle.ACTIVE})
RAISES_ALARMS = frozenset({Lifecycle.ACTIVE})


class DeviceKind(models.TextChoices):
    """Where a device stands in the traffic."""

    STANDALONE = "standalone", "standalone"  # speaks for itself
    GATEWAY = "gateway", "gateway"  # speaks for itself and relays its children
    CHILD = "child", "child"  # speaks through its gateway


class Adapter(models.TextChoices):
    """The path by which a device is reached."""

    MQTT = "mqtt", "MQTT"
    HTTP = "http", "HTTP"


class Role(models.TextChoices):
    """What a member of a tenant is; permissions.py says what each may do."""

    VIEWER = "viewer", "viewer"  # sees
    OPERATOR = "operator", "operator"  # sends commands, starts jobs, takes up work
    APPROVER = "approver", "approver"  # an operator who may approve others' jobs
    MANAGER = "manager", "manager"  # registers devices, edits products and places
    ADMIN = "admin", "admin"  # manages people and tokens


class Scope(models.TextChoices):
    """What an API token may be used for, at most; its user's roles bind as well."""

    READ = "read", "read"
    OPERATE = "operate", "operate"
    MANAGE = "manage", "manage"
