"""Playbooks, their versions, and how far each device is in a run of one."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from console.choices import RunStatus, StepStatus
from iotplatform.common.models import PublicIdModel


class Playbook(PublicIdModel):
    """Steps against a kind of trouble; the built-in ones stand in the code."""

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, related_name="+"
    )
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="", max_length=2_000)
    steps = models.JSONField()
    version = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], name="console_playbook_name_once_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return self.name


class PlaybookVersion(models.Model):
    """What a playbook was at one version, the present one among them."""

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    playbook = models.ForeignKey(
        Playbook, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    steps = models.JSONField()
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["playbook", "number"], name="console_version_number_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}, version {self.number}"


class PlaybookRun(PublicIdModel):
    """One run; it keeps name, version and steps, so that no change touches it."""

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    # Null: it is built in, or was deleted since.
    playbook = models.ForeignKey(
        Playbook, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    name = models.CharField(max_length=200)
    version = models.PositiveIntegerField()
    steps = models.JSONField()
    query = models.TextField(blank=True)  # empty: it was started for one device
    rate_per_minute = models.PositiveIntegerField()
    status = models.CharField(
        max_length=16, choices=RunStatus, default=RunStatus.RUNNING
    )
    # [{"step", "answer", "by", "at"}], in the order in which they were given.
    answers = models.JSONField(default=list)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    device_count = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["tenant", "-id"], name="console_run_by_tenant")]

    def __str__(self) -> str:
        return f"{self.name} {self.public_id}"


class PlaybookRunDevice(models.Model):
    """A device of a run."""

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    run = models.ForeignKey(
        PlaybookRun, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    device = models.ForeignKey(
        "registry.Device",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
    )
    uid = models.CharField(max_length=64)
    is_started = models.BooleanField(default=False, db_default=False)
    # The last step that it entered; 0 before the first.
    position = models.PositiveSmallIntegerField(default=0, db_default=0)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "device"], name="console_device_once_per_run"
            )
        ]
        indexes = [
            models.Index(fields=["run", "uid"], name="console_run_devices"),
            models.Index(
                fields=["run", "id"],
                name="console_run_devices_to_start",
                condition=Q(is_started=False, ended_at=None),
            ),
            models.Index(
                fields=["run"],
                name="console_run_devices_open",
                condition=Q(ended_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.uid


class PlaybookStep(models.Model):
    """A step that a device of a run has entered."""

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    run = models.ForeignKey(
        PlaybookRun, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    member = models.ForeignKey(
        PlaybookRunDevice, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    number = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=16, choices=StepStatus)
    # When the sweep looks at it next; null: it has ended, or a person must answer.
    due_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)  # retries of it
    command = models.UUIDField(null=True)  # the public id of what was sent
    result = models.JSONField(null=True)
    at = models.DateTimeField()  # of its status

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["member", "number"], name="console_step_once_per_device"
            )
        ]
        indexes = [
            models.Index(
                fields=["run", "due_at"],
                name="console_steps_due",
                condition=Q(due_at__isnull=False),
            ),
            models.Index(
                fields=["run", "number", "status"], name="console_steps_by_number"
            ),
        ]

    def __str__(self) -> str:
        return f"step {self.number}: {self.status}"
