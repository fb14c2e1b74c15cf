"""Edits in bulk: what a person changed on the devices of a search, and may undo."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from fleet.choices import EditResult, EditStatus, UndoResult
from iotplatform.common.models import PublicIdModel
from registry.models import Device, Tenant


class FleetEdit(PublicIdModel):
    """One change of the devices that a query found; they are frozen at the request."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    query = models.TextField()
    # {"tags": {"add", "remove"}, "site", "lifecycle", "attributes"}
    changes = models.JSONField()
    reason = models.TextField(max_length=1_000)
    size = models.PositiveIntegerField()  # devices that the query found
    status = models.CharField(max_length=12, choices=EditStatus)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField()
    # Of the edit or of its undoing, whichever goes on: one left behind is taken over.
    worked_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    detail = models.TextField(blank=True)  # why it was not finished
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    undone_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-id"], name="fleet_edit_by_tenant"),
            models.Index(
                fields=["id"],
                name="fleet_edit_open",
                condition=Q(status__in=["queued", "undoing"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.size} devices of {self.query}"


class EditedDevice(models.Model):
    """A device of an edit: its values before and after, and what an undo did."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    edit = models.ForeignKey(
        FleetEdit, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    device = models.ForeignKey(
        Device,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    uid = models.CharField(max_length=64)
    result = models.CharField(
        max_length=10, choices=EditResult, default=EditResult.PENDING
    )
    reason = models.TextField(blank=True)
    # Only what changed; site and space by their slugs.
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    undo = models.CharField(max_length=8, choices=UndoResult, blank=True)
    undo_reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["edit", "device"], name="fleet_edited_device_once"
            )
        ]

    def __str__(self) -> str:
        return self.uid
