"""The fixed choices of state: connectivity and its causes, alarms, rollups."""

from django.db import models


class Connectivity(models.TextChoices):
    """Whether we believe that a device can be reached; judged, never written by it."""

    ONLINE = "online", "online"
    SUSPECT = "suspect", "suspect"
    STALE = "stale", "stale"  # we cannot tell, and the cause says why
    OFFLINE = "offline", "offline"


class Cause(models.TextChoices):
    """Why connectivity is what it is; design section 5 has the table."""

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


# A goodbye, an expected disconnect and our own blindness are not the device's fault.
ABNORMAL_CAUSES = frozenset({Cause.LAST_WILL, Cause.MISSED_HEARTBEATS})


class Departure(models.TextChoices):
    """How a device was last said to have left: evidence, judged later."""

    NONE = "", "none"
    WILL = "will", "last will with its session"
    WILL_WITHOUT_SESSION = "bare_will", "last will without a session"
    GOODBYE = "goodbye", "goodbye"


class ReplayOutcome(models.TextChoices):
    """What came of taking a dead letter in again."""

    TAKEN = "taken", "taken"  # it is state now
    REPEATED = "repeated", "repeated"  # known already, by its (boot, seq)
    OUTDATED = "outdated", "outdated"  # what it says was overtaken by newer messages
    REFUSED = "refused", "refused"  # the reason still holds, or another one


class Severity(models.TextChoices):
    """How much an alarm matters."""

    INFO = "info", "info"
    WARNING = "warning", "warning"
    CRITICAL = "critical", "critical"


class Comparison(models.TextChoices):
    """On which side of its threshold a value is an alarm."""

    ABOVE = ">", "above"
    AT_LEAST = ">=", "at or above"
    BELOW = "<", "below"
    AT_MOST = "<=", "at or below"


class AlarmState(models.TextChoices):
    """Where an alarm stands; the first two are open."""

    RAISED = "raised", "raised"
    ACKNOWLEDGED = "acknowledged", "acknowledged"
    CLEARED = "cleared", "cleared"


OPEN_ALARMS = frozenset({AlarmState.RAISED, AlarmState.ACKNOWLEDGED})


class AlarmMove(models.TextChoices):
    """What happened to an alarm, for its history."""

    RAISED = "raised", "raised"
    ACKNOWLEDGED = "acknowledged", "acknowledged"
    FLAPPING = "flapping", "comes and goes"  # held as one until it settles
    STEADY = "steady", "comes and goes no more"  # it is there, and stays
    SEVERITY = "severity", "severity changed"  # with its rule's
    CLEARED = "cleared", "cleared"


class AlarmReason(models.TextChoices):
    """Why it happened."""

    EVENT = "event", "the device says so"
    RULE = "rule", "a rule judges its values so"
    HELD = "held", "it lasted as long as its rule asks"
    MAINTENANCE = "maintenance", "it outlasted maintenance"
    PERSON = "person", "a person has seen it"
    AGAIN = "again", "raised and cleared again and again"
    SETTLED = "settled", "it did not turn for a while"
    RULE_CHANGED = "rule_changed", "its rule was changed"
    RULE_OFF = "rule_off", "its rule was switched off"
    RULE_DELETED = "rule_deleted", "its rule was deleted"
    OUT_OF_SERVICE = "out_of_service", "the device left service"
    HANDED_OVER = "handed_over", "the device went to another owner"


class RollupStep(models.IntegerChoices):
    """Width of a telemetry rollup's bucket, in seconds."""

    FIVE_MINUTES = 300, "5 min"
    HOUR = 3_600, "1 h"


class KnownBy(models.TextChoices):
    """How we know a value that somebody reads."""

    FACT = "fact", "fact"  # entered by people, or done by ourselves
    REPORTED = "reported", "reported"  # by the device, and when
    JUDGED = "judged", "judged"  # by which rule, from what, and when


class TwinSide(models.TextChoices):
    """Which of a twin's documents."""

    DESIRED = "desired", "desired"  # what we want it to be
    REPORTED = "reported", "reported"  # what it says that it is


class Observation(models.TextChoices):
    """What people at the device saw."""

    WORKS_FINE = "works_fine", "works fine"  # contradicts that it is judged away
    DEAD = "dead", "dead"  # no sign of life
    UNPLUGGED = "unplugged", "unplugged"  # somebody cut it off
    DAMAGED = "damaged", "damaged"  # to be seen, whatever it says
    NO_SIGNAL = "no_signal", "no network signal"  # it runs, and has no line
    NOT_FOUND = "not_found", "not found"  # not where the registry says
    OTHER = "other", "something else"  # the note says what


class Trouble(models.TextChoices):
    """What is wrong with a device, for the diagnosis; the first that holds."""

    BLIND = "blind", "we were not listening"  # so nothing is known of the device
    GARBLED = "garbled", "heard, but nothing valid"  # messages that cannot be read
    SILENT = "silent", "not online"  # lost, suspect, or behind a lost gateway
    COMMANDS = "commands", "commands fail"  # several of the newest, in the last day
    ALARM = "alarm", "critical alarm"  # one is open
    FLAPPING = "flapping", "comes and goes"  # online, and lost often lately
    NONE = "none", "nothing"  # well


class Verdict(models.TextChoices):
    """Where the fault lies, as far as counted evidence can say."""

    DEVICE = "device", "the device"  # itself, its firmware or its model
    NETWORK = "network", "the network"  # its gateway or its site
    ADAPTER_PATH = "adapter_path", "the adapter path"  # MQTT or HTTP as a whole
    PLATFORM = "platform", "the platform"  # ourselves
    INTERPRETATION = "interpretation", "our interpretation"  # we judge what is not so
    CANNOT_TELL = "cannot_tell", "cannot tell"  # too little, or contradictory, evidence
