"""The fixed choices of the console: of incidents, playbooks and notifications."""

from django.db import models


class IncidentCause(models.TextChoices):
    """What an incident comes from, the widest first."""

    PLATFORM = "platform", "the platform"  # we do not listen
    ADAPTER = "adapter", "the adapter path"  # MQTT or HTTP as a whole
    GATEWAY = "gateway", "a gateway"  # its children are lost with it
    SITE = "site", "a site"  # its power, or its network
    COHORT = "cohort", "a firmware or batch"  # what these devices share
    JOB = "job", "a job"  # it stands still
    DEVICE = "device", "a device"  # itself
    DRIFT = "drift", "configuration drift"  # it reports another configuration
    COMMAND = "command", "commands"  # the same command needs a person on many devices


class IncidentObject(models.TextChoices):
    """The kind of object that an incident is about."""

    PLATFORM = "platform", "platform"
    ADAPTER = "adapter", "adapter"
    GATEWAY = "gateway", "gateway"
    SITE = "site", "site"
    FIRMWARE = "firmware", "firmware"
    BATCH = "batch", "batch"
    JOB = "job", "job"
    DEVICE = "device", "device"
    COMMAND = "command", "command"


class IncidentStatus(models.TextChoices):
    """Where an incident stands; all but the last are open."""

    OPEN = "open", "open"  # nobody has looked at it
    ACKNOWLEDGED = "acknowledged", "acknowledged"  # a person has
    SNOOZED = "snoozed", "snoozed"  # out of the queue until a time
    RESOLVED = "resolved", "resolved"  # by itself, by a person, or in another


class IncidentEventKind(models.TextChoices):
    """What happened to an incident."""

    OPENED = "opened", "opened"
    REGRESSED = "regressed", "came back"  # within an hour of its end
    GREW = "grew", "more devices"  # at least twice as many as before
    ABSORBED = "absorbed", "absorbed another incident"
    CLAIMED = "claimed", "claimed"
    RELEASED = "released", "released"
    ASSIGNED = "assigned", "assigned"
    ACKNOWLEDGED = "acknowledged", "acknowledged"
    SNOOZED = "snoozed", "snoozed"
    WOKE = "woke", "the snooze ended"
    NOTE = "note", "note"
    RESOLVED = "resolved", "resolved"
    REOPENED = "reopened", "reopened"  # by a person
    MERGED = "merged", "merged into another incident"
    CLOCK_STOPPED = "clock_stopped", "clock stopped"  # all its devices are in work
    CLOCK_CONTINUED = "clock_continued", "clock continued"


class StepKind(models.TextChoices):
    """What a step of a playbook does."""

    CHECK = "check", "check"  # the device must match a query, or its run ends
    SEND = "send", "send a command"  # and wait for its end
    WAIT = "wait", "wait"  # for some seconds
    ASK = "ask", "ask a person"  # a work item until somebody answers
    NOTE = "note", "note"  # a text for the record
    BRANCH = "branch", "branch"  # go on here or there, by a query
    ESCALATE = "escalate", "escalate"  # a work item; the run goes on


class StepStatus(models.TextChoices):
    """How far a device is in a step of its run."""

    WAITING = "waiting", "waiting"  # for a time or a person
    RUNNING = "running", "running"  # its command is under way, its check is due
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"  # the run of this device ends here
    SKIPPED = "skipped", "skipped"  # by a branch, a person, or an earlier end


class RunStatus(models.TextChoices):
    """How far a run of a playbook has come."""

    RUNNING = "running", "running"  # also while it waits for a time or a person
    COMPLETED = "completed", "completed"  # every device has ended, well or not
    STOPPED = "stopped", "stopped"  # by a person


class Channel(models.TextChoices):
    """How a notification is sent."""

    WEBHOOK = "webhook", "webhook"  # a signed event, by HTTPS
    MAIL = "mail", "mail"  # to a person of the tenant, or to an address
    CHAT = "chat", "chat"  # a text in a room of Slack, Teams and the like


class TargetKind(models.TextChoices):
    """Whom a notification rule tells."""

    USER = "user", "a person"  # a member of the tenant, by mail
    MAIL = "mail", "a mail address"
    CHAT = "chat", "a chat room"
    WEBHOOK = "webhook", "a webhook"  # one of the tenant, which gets the signed event


class DeliveryStatus(models.TextChoices):
    """What came of a notification."""

    PENDING = "pending", "pending"  # it waits for its turn, or for its next try
    DELIVERED = "delivered", "delivered"  # the receiver took it
    FAILED = "failed", "given up"  # it was tried for days
