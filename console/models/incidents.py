"""Incidents, their events, their devices, and the intervals of their clocks."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from console.choices import (
    IncidentCause,
    IncidentEventKind,
    IncidentObject,
    IncidentStatus,
)
from iotplatform.common.models import PublicIdModel
from state.choices import Severity


class Incident(PublicIdModel):
    """One trouble with one cause, from its first evidence until the cause is gone.

    More than 15 columns: the queue orders by them and reads no other table. What it is
    about is kept by name, so that a list of many reads no other table either.
    """

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    number = models.PositiveIntegerField()  # within the tenant, for people
    cause = models.CharField(max_length=8, choices=IncidentCause)
    object_kind = models.CharField(max_length=8, choices=IncidentObject)
    object_id = models.CharField(max_length=160)  # as people and scripts name it
    object_name = models.CharField(max_length=200)
    title = models.TextField()
    severity = models.CharField(max_length=8, choices=Severity)
    status = models.CharField(
        max_length=12, choices=IncidentStatus, default=IncidentStatus.OPEN
    )
    regressed = models.BooleanField(default=False)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )
    # When a claim lapses. Null: it was assigned, and does not.
    claim_until = models.DateTimeField(null=True)
    # Arrivals at the platform, never a device's clock.
    first_evidence_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True)
    snoozed_until = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolution = models.CharField(
        max_length=200, blank=True
    )  # the cause, as a person says
    # A person has reopened it: it stays open until a person resolves it.
    is_held_open = models.BooleanField(db_default=False, default=False)
    # When all its evidence was gone; it closes a little later. Null: there is some.
    calm_since = models.DateTimeField(null=True)
    device_count = models.PositiveIntegerField(default=0)  # that ever belonged to it
    alarm_count = models.PositiveIntegerField(db_default=0)  # the most at a time
    acknowledge_due_at = models.DateTimeField(null=True)
    resolve_due_at = models.DateTimeField(null=True)
    # The wider incident that took its devices, or the one that it was merged into.
    absorbed_by = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "cause", "object_kind", "object_id"],
                condition=~Q(status=IncidentStatus.RESOLVED),
                name="console_one_open_incident",
            ),
            models.UniqueConstraint(
                fields=["tenant", "number"], name="console_incident_number"
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "-id"],
                name="console_incident_open",
                condition=~Q(status=IncidentStatus.RESOLVED),
            ),
            models.Index(fields=["tenant", "-id"], name="console_incident_by_tenant"),
            # One that comes back within an hour is found by its end, and what a person
            # has resolved by its object.
            models.Index(
                fields=["resolved_at"],
                name="console_incident_resolved",
                condition=Q(resolved_at__isnull=False),
            ),
            models.Index(
                fields=["tenant", "object_id", "cause"], name="console_incident_of"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.title}"

    @property
    def is_open(self) -> bool:
        return self.status != IncidentStatus.RESOLVED


class IncidentEvent(models.Model):
    """One thing that happened to an incident, or that a person did to it."""

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    incident = models.ForeignKey(
        Incident, on_delete=models.CASCADE, db_index=False, related_name="events"
    )
    at = models.DateTimeField()
    kind = models.CharField(max_length=16, choices=IncidentEventKind)
    actor = models.ForeignKey(  # null: by itself
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,
        related_name="+",
    )
    text = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["incident", "id"], name="console_event_of")]

    def __str__(self) -> str:
        return f"{self.at:%F %T} UTC {self.kind}: {self.text}"


class IncidentMember(models.Model):
    """A device that belongs to an incident, while its evidence lasts."""

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    incident = models.ForeignKey(
        Incident, on_delete=models.CASCADE, db_index=False, related_name="members"
    )
    # No constraint: an outage writes 100,000 at once.
    device = models.ForeignKey(
        "registry.Device",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    since = models.DateTimeField()  # the arrival of its evidence
    until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "device"], name="console_member_once"
            )
        ]
        indexes = [
            models.Index(fields=["device"], name="console_member_device"),
            models.Index(
                fields=["incident"],
                name="console_member_live",
                condition=Q(until=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.device_id} in {self.incident_id}"


class IncidentInterval(models.Model):
    """A time in which the clock of an incident ran; the last one has no end."""

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    incident = models.ForeignKey(
        Incident, on_delete=models.CASCADE, related_name="intervals"
    )
    from_at = models.DateTimeField()
    until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["incident"],
                condition=Q(until=None),
                name="console_one_running_clock",
            )
        ]

    def __str__(self) -> str:
        return f"{self.incident_id} from {self.from_at:%F %T} UTC"
