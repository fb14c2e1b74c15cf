"""The lifecycle of a device, and the other fixed choices of the registry."""

from django.db import models


class Lifecycle(models.TextChoices):
    """The phase of a device's life; people move it, messages never do."""

    PROVISIONED = "provisioned", "provisioned"  # registered; may connect, no alarms
    ACTIVE = "active", "active"  # in service
    IN_REPAIR = "in_repair", "in repair"  # out of service for a while, may connect
    RETIRED = "retired", "retired"  # out of service; its credentials are revoked
    REPLACED = "replaced", "replaced"  # another device has its place


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
JUDGED = CONNECTS  # what a device out of service did is no condition of today
JOINS_JOBS = frozenset({Lifecycle.ACTIVE})
RAISES_ALARMS = frozenset({Lifecycle.ACTIVE})


class DeviceKind(models.TextChoices):
    """How a device exchanges messages."""

    STANDALONE = "standalone", "standalone"  # connects itself
    GATEWAY = "gateway", "gateway"  # connects itself and relays its children
    CHILD = "child", "child"  # connects through its gateway


class Adapter(models.TextChoices):
    """The adapter that exchanges messages with a device."""

    MQTT = "mqtt", "MQTT"
    HTTP = "http", "HTTP"


class Role(models.TextChoices):
    """The role of a member; permissions.py says what each role may do."""

    VIEWER = "viewer", "viewer"  # sees everything
    OPERATOR = "operator", "operator"  # sends commands, starts jobs, works on incidents
    APPROVER = "approver", "approver"  # an operator who may approve others' jobs
    MANAGER = "manager", "manager"  # registers devices, edits products and places
    ADMIN = "admin", "admin"  # manages people and tokens


class TokenScope(models.TextChoices):
    """What an API token allows at most; the roles of its user limit it as well."""

    READ = "read", "read"
    OPERATE = "operate", "operate"
    MANAGE = "manage", "manage"
