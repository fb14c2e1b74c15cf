"""Who changed what: one append-only table that only database triggers write."""

from django.conf import settings
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F, Q

from iotplatform.common.models import PublicIdModel
from registry.models.devices import Device
from registry.models.people import ApiToken
from registry.models.places import Project, Site, Tenant


class AuditAction(models.TextChoices):
    CREATED = "created", "created"
    CHANGED = "changed", "changed"
    DELETED = "deleted", "deleted"


class AuditEntry(PublicIdModel):
    """One change of one row by a person or a token, with before and after.

    It outlives the rows it is about, so its keys have no constraints. The database
    refuses every change or removal of an entry (see the migration that makes the
    table). It has more than 15 columns, because tenant, site and project at the time of
    the change decide who may read it.
    """

    at = models.DateTimeField()
    # Null: an object without a tenant, such as a person or an API token.
    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    kind = models.CharField(max_length=64)  # the model in snake case: api_token
    object_id = models.CharField(max_length=64)  # its public id, else its key
    object_name = models.CharField(max_length=200, blank=True)  # uid, slug, name
    action = models.CharField(max_length=8, choices=AuditAction)
    # Changed: only the changed columns. Created and deleted: the whole row. Secrets
    # are stored as "(not shown)".
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    actor = models.CharField(max_length=150, blank=True)  # the user name at that time
    token = models.ForeignKey(
        ApiToken,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    token_name = models.CharField(max_length=100, blank=True)
    door = models.CharField(max_length=16, blank=True)  # console, rest, admin, command
    # The device and its place at that time: for the device's page, and for members who
    # are limited to some places.
    device = models.ForeignKey(
        Device,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    site = models.ForeignKey(
        Site,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    project = models.ForeignKey(
        Project,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["tenant", "-id"], name="registry_audit_by_tenant"),
            models.Index(fields=["tenant", "at"], name="registry_audit_by_time"),
            models.Index(
                OpClass(F("object_name"), name="varchar_pattern_ops"),
                F("id").desc(),
                name="registry_audit_by_name",
            ),
            models.Index(fields=["object_id", "-id"], name="registry_audit_by_object"),
            models.Index(
                fields=["user", "-id"],
                name="registry_audit_by_user",
                condition=Q(user__isnull=False),
            ),
            models.Index(
                fields=["device", "-id"],
                name="registry_audit_by_device",
                condition=Q(device__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_name} {self.action} by {self.actor}"
