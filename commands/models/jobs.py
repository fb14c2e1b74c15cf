"""Jobs: the same instruction to a frozen set of devices, released in waves."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from commands.choices import CommandClass, JobStatus, WaveStatus
from iotplatform.common.models import PublicIdModel
from registry.models import Device, Tenant


class FrozenCohort(models.Model):
    """Exactly which devices a job was created for, with a hash as proof."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    query = models.TextField(blank=True, help_text="empty: the devices were listed")
    taken_at = models.DateTimeField()
    index_lag_seconds = models.FloatField(null=True, blank=True)
    target_count = models.PositiveIntegerField()
    # SHA-256 of the sorted uids, one per line.
    target_hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.target_count} devices, {self.target_hash[:12]}"


class Job(PublicIdModel):
    """A command to a frozen cohort, and its rollout."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    name = models.CharField(max_length=200)
    cohort = models.OneToOneField(
        FrozenCohort, on_delete=models.PROTECT, related_name="+"
    )
    command_name = models.CharField(max_length=64)
    command_class = models.CharField(max_length=16, choices=CommandClass)
    params = models.JSONField(default=dict, blank=True)
    policy = models.JSONField(default=dict)
    # Its command's definition when it was created; a later change changes nothing here.
    definition = models.JSONField(null=True, blank=True)
    failure_rules = models.JSONField(null=True, blank=True)
    # Complete: the defaults with the request's own values over them.
    rollout = models.JSONField(default=dict)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField()
    # When a person started it; until then its creation counts. Of two changes of one
    # key the later ask wins, however late its command is created.
    started_at = models.DateTimeField(null=True, blank=True)
    # A second person approved exactly what has this hash; null: none, or none needed.
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_hash = models.CharField(max_length=64, blank=True, db_default="")
    # When its members were last compared with the query; a start needs that.
    drift_checked_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=24, choices=JobStatus, default=JobStatus.DRAFT)
    status_since = models.DateTimeField()
    # Since then no clock of its commands runs: it is paused, or it was and they have
    # not been moved on yet.
    paused_at = models.DateTimeField(null=True, blank=True)
    # A sentence: why it is stopped or paused; empty otherwise.
    stop_reason = models.TextField(blank=True)
    # Of its rate: what may be sent, as of when. Null: nothing was sent yet.
    tokens = models.FloatField(db_default=0.0, default=0.0)
    tokens_at = models.DateTimeField(null=True, blank=True)
    start_at = models.DateTimeField(null=True, blank=True)
    deadline = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"],
                name="commands_job_to_advance",
                condition=Q(status__in=["scheduled", "running", "paused", "stopped"]),
            ),
            models.Index(fields=["tenant", "-id"], name="commands_job_by_tenant"),
            # Few jobs have combinations; a sweep compares their systems with them.
            models.Index(
                fields=["id"],
                name="commands_job_combinations",
                condition=Q(rollout__contains={"combinations": [{}]}),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def asked_at(self) -> datetime:
        """When people asked for what it changes."""
        return self.started_at or self.created_at


class JobWave(models.Model):
    """One stage of a rollout."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    job = models.ForeignKey(
        Job, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    number = models.PositiveIntegerField()
    is_canary = models.BooleanField(default=False)
    size = models.PositiveIntegerField()
    status = models.CharField(
        max_length=16, choices=WaveStatus, default=WaveStatus.PENDING
    )
    released_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # The counts when a person resumed the job: these are accepted, so the thresholds
    # judge only what ends later.
    accepted_failed = models.PositiveIntegerField(default=0)
    accepted_ended = models.PositiveIntegerField(default=0)
    # A person let the job go on although no device of this wave has answered.
    is_accepted = models.BooleanField(db_default=False, default=False)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["job", "number"], name="commands_wave_number_once"
            )
        ]

    def __str__(self) -> str:
        return f"wave {self.number} of {self.job_id}"


class JobTarget(models.Model):
    """One frozen member: its wave and its command, or why it was skipped."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    job = models.ForeignKey(
        Job, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="+")
    # The original member, if it was replaced by this device meanwhile.
    in_place_of = models.ForeignKey(
        Device,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
    )
    # Null: skipped before the first wave.
    wave = models.PositiveIntegerField(null=True, blank=True)
    command = models.OneToOneField(
        "commands.Command",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    # A person let the job go on without its answer.
    is_passed_over = models.BooleanField(db_default=False, default=False)
    # A sentence: why it gets no command; empty if it has one or waits for its wave.
    skip_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["job", "device"], name="commands_member_once_per_job"
            )
        ]
        indexes = [
            models.Index(
                fields=["job", "wave", "id"],
                name="commands_target_to_release",
                condition=Q(command__isnull=True, skip_reason=""),
            ),
            # For pages of members: with the key alone they would walk past older jobs.
            models.Index(fields=["job", "id"], name="commands_target_by_job"),
            models.Index(
                fields=["job"],
                name="commands_target_passed_over",
                condition=Q(is_passed_over=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.device_id} in {self.job_id}"


class JobCount(models.Model):
    """A difference of how many members of a wave are in one state; written by triggers.

    The sum over the rows of a state is its number of members.
    """

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    # No constraint: a job is deleted with its members, whose triggers write here.
    job = models.ForeignKey(
        Job, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    wave = models.PositiveIntegerField(null=True, blank=True)
    # Of its command; "pending" or "skipped" without one.
    status = models.CharField(max_length=16)
    failure_class = models.CharField(max_length=24, blank=True)
    waits_for = models.CharField(max_length=8, blank=True)
    is_ended = models.BooleanField(default=False)
    is_passed_over = models.BooleanField(default=False)
    members = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.members:+} {self.status} in {self.job_id}"


class JobEvent(models.Model):
    """One change of a job: when, who, why."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    job = models.ForeignKey(
        Job, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    at = models.DateTimeField()
    status = models.CharField(max_length=24, choices=JobStatus)
    actor = models.CharField(max_length=200)
    cause = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["job", "id"], name="commands_jobevent_by_job")]

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.status}: {self.cause}"
