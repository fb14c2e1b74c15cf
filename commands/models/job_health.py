"""How a job's members fare, and what keeps the harm of a bad change small."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from commands.choices import HeldKind
from commands.models.jobs import Job, JobTarget
from registry.models import Tenant


class JobHealth(models.Model):
    """The health gate of a job, and its members before and after; one row a job."""

    job = models.OneToOneField(
        Job, on_delete=models.CASCADE, primary_key=True, related_name="health"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    # Where its tests are, so that a restart goes on; see commands.judgment.gate_state.
    gate = models.JSONField(null=True, blank=True)
    # {"members": {…}, "others": {…}}: see commands.selectors.job_groups.
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)

    def __str__(self) -> str:
        return f"health of {self.job_id}"


class MemberValues(models.Model):
    """What one member had before its command, and what it gets if that is its own."""

    target = models.OneToOneField(
        JobTarget, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    # The parameters of its command in a rollback; null: those of the job.
    params = models.JSONField(null=True, blank=True)
    # The parameters that restore what it had at hand-out; null: not handed out.
    previous = models.JSONField(null=True, blank=True)

    def __str__(self) -> str:
        return f"values of {self.target_id}"


class JobRollback(models.Model):
    """A job that gives the members of another one their previous values."""

    job = models.OneToOneField(
        Job, on_delete=models.CASCADE, primary_key=True, related_name="rollback"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    of = models.OneToOneField(
        Job, on_delete=models.CASCADE, related_name="rolled_back_by"
    )

    def __str__(self) -> str:
        return f"{self.job_id} rolls back {self.of_id}"


class HeldChange(models.Model):
    """A release or patch that a stopped job has marked: no other job may send it."""

    job = models.OneToOneField(
        Job, on_delete=models.CASCADE, primary_key=True, related_name="held_change"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    kind = models.CharField(max_length=8, choices=HeldKind)
    key = models.CharField(max_length=64)  # the version, or a hash of the patch
    product_ids = models.JSONField(default=list)  # of the job's members
    held_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
    )
    lift_reason = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["tenant", "kind", "key"],
                name="commands_held_changes",
                condition=Q(lifted_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
