"""The fixed choices of state: connectivity and its causes, alarms, rollups."""

from django.db import models


class Connectivity(models.TextChoices):
    """Whether a device is connected, as the platform judges it from its messages."""

    ONLINE = "online", "online"
    SUSPECT = "suspect", "suspect"
    STALE = "stale", "stale"  # we cannot tell; the cause says why
    OFFLINE = "offline", "offline"


class Cause(models.TextChoices):
    """The cause of a connectivity value."""

    NONE = "", "none"
    NEVER_CONNECTED = "never_connected", "never connected"
    SLEEPING = "sleeping", "asleep, as it said"
    PLATFORM_BLIND = "platform_blind", "the platform was not listening"
    GATEWAY_OFFLINE = "gateway_offline", "its gateway is not online"
    INVALID_MESSAGES = "invalid_messages", "heard, but nothing valid"
    LAST_WILL = "last_will", "connection lost (last will)"
    GOODBYE = "goodbye", "said goodbye"
    MISSED_HEARTBEATS = "missed_heartbeats", "silent for 5 intervals"
    MISSED_HEARTBEAT = "missed_heartbeat", "silent for 2 intervals"
    WILL_WITHOUT_SESSION = "will_without_session", "last will without a session"


# Not the device's fault: a goodbye, an expected disconnect, an outage of the platform.
ABNORMAL_CAUSES = frozenset({Cause.LAST_WILL, Cause.MISSED_HEARTBEATS})


class Departure(models.TextChoices):
    """How a device's last session ended; the judgment decides what that means."""

    NONE = "", "none"
    WILL = "will", "last will with its session"
    WILL_WITHOUT_SESSION = "bare_will", "last will without a session"
    GOODBYE = "goodbye", "goodbye"


class ReplayOutcome(models.TextChoices):
    """The result of replaying a dead letter."""

    TAKEN = "taken", "taken"  # it was ingested
    REPEATED = "repeated", "repeated"  # its (boot, seq) was ingested before
    OUTDATED = "outdated", "outdated"  # newer messages have replaced its content
    REFUSED = "refused", "refused"  # rejected again, for the same or another reason


class Severity(models.TextChoices):
    """How urgent an alarm is."""

    INFO = "info", "info"
    WARNING = "warning", "warning"
    CRITICAL = "critical", "critical"


class Comparison(models.TextChoices):
    """On which side of the threshold a value raises the alarm."""

    ABOVE = ">", "above"
    AT_LEAST = ">=", "at or above"
    BELOW = "<", "below"
    AT_MOST = "<=", "at or below"


MAX_HOLD_SECONDS = 7 * 24 * 3_600  # of an alarm rule: a week


class AlarmState(models.TextChoices):
    """The state of an alarm; the first two are open."""

    RAISED = "raised", "raised"
    ACKNOWLEDGED = "acknowledged", "acknowledged"
    CLEARED = "cleared", "cleared"


OPEN_ALARMS = frozenset({AlarmState.RAISED, AlarmState.ACKNOWLEDGED})


class AlarmMove(models.TextChoices):
    """What happened to an alarm, for its change log."""

    RAISED = "raised", "raised"
    ACKNOWLEDGED = "acknowledged", "acknowledged"
    FLAPPING = "flapping", "comes and goes"  # one open alarm until it settles
    STEADY = "steady", "no longer comes and goes"  # it stays raised
    SEVERITY = "severity", "severity changed"  # because its rule's did
    CLEARED = "cleared", "cleared"


class AlarmReason(models.TextChoices):
    """Why a change happened to an alarm."""

    EVENT = "event", "reported by the device"
    RULE = "rule", "a value crossed the rule's threshold"
    HELD = "held", "it lasted for the rule's hold time"
    MAINTENANCE = "maintenance", "still there after maintenance"
    PERSON = "person", "a person acknowledged it"
    AGAIN = "again", "raised and cleared again and again"
    SETTLED = "settled", "no change for a while"
    RULE_CHANGED = "rule_changed", "its rule was changed"
    RULE_OFF = "rule_off", "its rule was switched off"
    RULE_DELETED = "rule_deleted", "its rule was deleted"
    OUT_OF_SERVICE = "out_of_service", "the device left service"
    HANDED_OVER = "handed_over", "the device was transferred to another tenant"


class RollupStep(models.IntegerChoices):
    """Width of a telemetry rollup's bucket, in seconds."""

    FIVE_MINUTES = 300, "5 min"
    HOUR = 3_600, "1 h"


class KnownBy(models.TextChoices):
    """How a shown value is known."""

    FACT = "fact", "fact"  # entered by people, or recorded by the platform itself
    REPORTED = "reported", "reported"  # by the device
    JUDGED = "judged", "judged"  # by a rule of the platform


class TwinSide(models.TextChoices):
    """Which of a twin's documents."""

    DESIRED = "desired", "desired"  # what we want
    REPORTED = "reported", "reported"  # what the device reports


class Observation(models.TextChoices):
    """What people saw at the device."""

    WORKS_FINE = "works_fine", "works fine"  # contradicts an offline verdict
    DEAD = "dead", "dead"  # no sign of life
    UNPLUGGED = "unplugged", "unplugged"  # no power, or no network cable
    DAMAGED = "damaged", "damaged"  # visibly, whatever the device reports
    NO_SIGNAL = "no_signal", "no network signal"  # it runs but has no network
    NOT_FOUND = "not_found", "not found"  # not where the registry places it
    OTHER = "other", "something else"  # explained in the note


class Trouble(models.TextChoices):
    """What is wrong with a device, for the diagnosis; the first that applies."""

    BLIND = "blind", "the platform was not listening"  # nothing is known of the device
    GARBLED = "garbled", "only invalid messages"  # they cannot be read
    SILENT = "silent", "not online"  # lost, suspect, or behind a lost gateway
    COMMANDS = "commands", "commands fail"  # several of the newest, in the last day
    ALARM = "alarm", "critical alarm"  # one is open
    FLAPPING = "flapping", "keeps disconnecting"  # online now, lost often lately
    NONE = "none", "nothing"  # the device is well


class Verdict(models.TextChoices):
    """Where the fault lies, as far as the counts can tell."""

    DEVICE = "device", "the device"  # itself, its firmware or its model
    NETWORK = "network", "the network"  # its gateway or its site
    ADAPTER_PATH = "adapter_path", "the adapter path"  # MQTT or HTTP as a whole
    PLATFORM = "platform", "the platform"  # ourselves
    INTERPRETATION = "interpretation", "our interpretation"  # we misjudge the device
    CANNOT_TELL = "cannot_tell", "cannot tell"  # too little evidence, or contradictions


class AttentionKind(models.TextChoices):
    """What a person must attend to."""

    COMMAND = "command", "command"  # escalated, or its outcome is unknown
    JOB = "job", "job"  # the platform has paused or stopped it
    APPROVAL = "approval", "approval"  # a command or job that a second person approves
    PLAYBOOK_STEP = "playbook_step", "playbook step"  # a run asks or escalates
    MIXED = "mixed", "mixed firmware"  # a gateway and its children do not go together


class AttentionObject(models.TextChoices):
    """The kind of object that an entry of the attention inbox is about."""

    COMMAND = "command", "command"  # one instruction to one device
    JOB = "job", "job"  # the same instruction to many devices
    PLAYBOOK_RUN = "playbook_run", "playbook run"  # steps that devices go through
    DEVICE = "device", "device"
