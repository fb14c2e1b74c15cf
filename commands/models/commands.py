"""One instruction to one device: the command, its attempts, events and key."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from commands.choices import (
    AttemptOutcome,
    CommandClass,
    CommandStatus,
    FailureClass,
    KeyKind,
    Lane,
    WaitsFor,
)
from commands.models.jobs import Job
from iotplatform.common.models import PublicIdModel
from registry.choices import Adapter
from registry.models import Device, Tenant

# As texts, since the conditions of indexes are stored as such.
UNSUCCESSFUL = ["timed_out", "unknown", "expired", "failed"]


class Command(PublicIdModel):
    """An instruction, and how far it has come.

    It has more than 15 columns, because one lock must cover everything that a move
    reads and writes: a dispatcher, a sweep and a device's response meet on this row.
    """

    # Indexes of their own would repeat the first column of others below.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    device = models.ForeignKey(
        Device, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    name = models.CharField(max_length=64)
    command_class = models.CharField(max_length=16, choices=CommandClass)
    params = models.JSONField(default=dict, blank=True)
    # Complete: the definition's defaults with the request's own values over them.
    policy = models.JSONField(default=dict)
    # What its definition said when it was asked for; a changed definition changes
    # nothing under way. ``failure_rules``: see commands.failure_rules.kept_rules.
    is_repeatable = models.BooleanField(db_default=False, default=False)
    is_disconnecting = models.BooleanField(db_default=False, default=False)
    failure_rules = models.JSONField(null=True, blank=True)
    needs_approval = models.BooleanField(db_default=False, default=False)
    approved_at = models.DateTimeField(null=True, blank=True)
    job = models.ForeignKey(
        Job,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
    )
    # A command that the device ended stays ended: a retry of it is a new command.
    retry_of = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
    )
    # No index: only the rare deletion of an account looks for it.
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
    )
    created_at = models.DateTimeField()

    status = models.CharField(max_length=16, choices=CommandStatus)
    status_since = models.DateTimeField()
    waits_for = models.CharField(
        max_length=8, choices=WaitsFor, default=WaitsFor.NOTHING, blank=True
    )
    failure_class = models.CharField(
        max_length=24, choices=FailureClass, default="", blank=True
    )
    # It is in the attention inbox, and not over yet.
    needs_person = models.BooleanField(db_default=False, default=False)
    # A response of the device came after our verdict, and corrected it.
    late = models.BooleanField(default=False)
    expires_at = models.DateTimeField()
    # When the platform must handle it next: send it, time it out, or release it. Null
    # only once it has ended.
    due_at = models.DateTimeField(null=True, blank=True)

    # The queue in which it waits for an adapter; a sweep follows a device that changes
    # its adapter.
    adapter = models.CharField(
        max_length=16, choices=Adapter, db_default=Adapter.MQTT, default=Adapter.MQTT
    )
    lane = models.PositiveSmallIntegerField(
        choices=Lane, db_default=Lane.PERSON, default=Lane.PERSON
    )
    # The job's key, or 0. Row security keeps an index from being searched by such an
    # expression, so it is a column.
    job_queue = models.GeneratedField(
        expression=Coalesce("job", 0, output_field=models.BigIntegerField()),
        output_field=models.BigIntegerField(),
        db_persist=True,
    )
    # Its device sleeps since then: neither its expiry nor a timeout draws nearer.
    clock_stopped_at = models.DateTimeField(null=True, blank=True)

    # The fence: a new claim makes a new token, and an adapter whose lease is over can
    # change nothing with the old one.
    claim_token = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempt_count = models.PositiveIntegerField(default=0)
    # Attempts that do not count against the policy's limit: they were never sent, the
    # device deferred them or was offline, or a person retried the command.
    uncounted_attempts = models.PositiveIntegerField(default=0)

    # Each is null until somebody says so: the broker, a poll or the device. A step that
    # is only inferred from a later one has no time.
    sent_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField(null=True, blank=True)
    running_at = models.DateTimeField(null=True, blank=True)
    succeeded_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # The part of the reported document that "verified" needs; null: executed is enough.
    expectation = models.JSONField(null=True, blank=True)
    # Configuration only: the version of the desired document that carries it.
    desired_version = models.PositiveBigIntegerField(null=True, blank=True)
    # The device's last response: {"status", "code", "payload"}, {"status", "reason"},
    # or {"progress"} while it runs.
    result = models.JSONField(null=True, blank=True)

    class Meta:
        constraints = [
            # Rule 3, every command ends: an open one always has a time at which the
            # platform handles it again.
            models.CheckConstraint(
                condition=Q(ended_at__isnull=False) | Q(due_at__isnull=False),
                name="commands_open_is_due_some_time",
            ),
        ]
        indexes = [
            # The queues of commands that wait for an adapter, each by due time.
            models.Index(
                fields=["adapter", "lane", "tenant", "job_queue", "due_at", "id"],
                name="commands_to_claim",
                condition=Q(status="queued", claim_token__isnull=True),
            ),
            models.Index(
                fields=["failure_class", "id"],
                name="commands_behind_gateway",
                condition=Q(status="held", waits_for="gateway"),
            ),
            models.Index(
                fields=["due_at", "id"],
                name="commands_to_look_at",
                condition=Q(due_at__isnull=False)
                & (~Q(status="queued") | Q(claim_token__isnull=False)),
            ),
            models.Index(
                fields=["expires_at", "id"],
                name="commands_to_expire",
                condition=Q(status="queued", claim_token__isnull=True),
            ),
            models.Index(
                fields=["device", "status"],
                name="commands_open_by_device",
                condition=Q(ended_at__isnull=True),
            ),
            # Commands that a late reported document may still correct.
            models.Index(
                fields=["device", "name"],
                name="commands_correctable",
                condition=Q(
                    status__in=UNSUCCESSFUL,
                    expectation__isnull=False,
                ),
            ),
            models.Index(fields=["device", "-id"], name="commands_by_device"),
            models.Index(fields=["tenant", "-id"], name="commands_by_tenant"),
            models.Index(
                fields=["job", "status"],
                name="commands_by_job",
                condition=Q(job__isnull=False),
            ),
            # Members of a job that a person should look at come first on its page.
            models.Index(
                fields=["job", "id"],
                name="commands_exceptions",
                condition=Q(job__isnull=False)
                & (Q(status__in=UNSUCCESSFUL) | Q(needs_person=True)),
            ),
            # For the deletion of old commands; few are retries.
            models.Index(
                fields=["retry_of"],
                name="commands_retries",
                condition=Q(retry_of__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.public_id}"

    @property
    def is_open(self) -> bool:
        """Whether it has no outcome yet."""
        return self.ended_at is None

    @property
    def is_unapproved(self) -> bool:
        """Whether it needs an approval that nobody has given."""
        return self.needs_approval and self.approved_at is None

    @property
    def is_answered(self) -> bool:
        """Whether the device has said anything about it."""
        said = (self.received_at, self.running_at, self.succeeded_at, self.result)
        return any(each is not None for each in said)

    @property
    def is_published(self) -> bool:
        """Whether it has certainly left: the broker took it, or the device answered."""
        return self.sent_at is not None or self.is_answered


class Attempt(models.Model):
    """One attempt at delivery."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    command = models.ForeignKey(
        Command, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    number = models.PositiveIntegerField()
    adapter = models.CharField(max_length=16, choices=Adapter)
    token = models.UUIDField()
    claimed_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    # When the device first answered it: sent → received is the adapter's latency.
    received_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(
        max_length=16, choices=AttemptOutcome, default=AttemptOutcome.CLAIMED
    )
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["command", "number"], name="commands_attempt_number_once"
            )
        ]
        indexes = [
            models.Index(fields=["received_at"], name="commands_attempt_latency"),
            models.Index(fields=["claimed_at"], name="commands_attempt_lately"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.command_id}"


class OutcomeToTell(models.Model):
    """A device with newly ended commands, to be reported to state; short-lived."""

    device_id = models.BigIntegerField()  # no constraint: it may outlive its device

    def __str__(self) -> str:
        return f"{self.device_id}"


class CommandEvent(models.Model):
    """One change or remark of a command; partitioned by day.

    The table and its indexes, (command, at) and (device, at), are created by SQL in the
    first migration. The keys have no constraints: a partition is dropped whole, and the
    command's own row has checked the same keys already.
    """

    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    device = models.ForeignKey(
        Device,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    command = models.ForeignKey(
        Command,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    at = models.DateTimeField()
    # The command's status after the event.
    status = models.CharField(max_length=16, choices=CommandStatus)
    # "device", "platform", or a person's user name.
    actor = models.CharField(max_length=200)
    cause = models.TextField(blank=True)
    detail = models.JSONField(null=True, blank=True)

    class Meta:
        db_table = "commands_commandevent"

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.status}: {self.cause}"


class IdempotencyKey(models.Model):
    """A request's key, so that a repeated request is done once; kept for 7 days."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    kind = models.CharField(max_length=16, choices=KeyKind)
    object_public_id = models.UUIDField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "key"], name="commands_key_once_per_tenant"
            )
        ]
        indexes = [models.Index(fields=["created_at"], name="commands_key_by_age")]

    def __str__(self) -> str:
        return self.key


class RetainedDesired(models.Model):
    """A ``down/desired`` message at the broker, recorded so that it can be cleared."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    topic = models.CharField(max_length=200, unique=True)
    published_at = models.DateTimeField()
    # Set when it must be cleared; the row is deleted once the broker has cleared it.
    clear_due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["clear_due_at"],
                name="commands_retained_to_clear",
                condition=Q(clear_due_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.topic
