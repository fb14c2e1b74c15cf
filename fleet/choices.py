"""Fixed words of the fleet."""

from django.db import models


class CallKind(models.TextChoices):
    """Why a cohort calls a person."""

    ENTERED = "entered", "a device entered"
    LEFT = "left", "a device left"
    REACHED = "reached", "reached its number"  # the size was below it before
    FELL = "fell", "fell below its number"  # the size had reached it before


OF_SIZE = (CallKind.REACHED, CallKind.FELL)
OF_DEVICES = (CallKind.ENTERED, CallKind.LEFT)


class OutboxLane(models.IntegerChoices):
    """Which changes are indexed first."""

    SINGLE = 0  # of a person, or of what some devices sent
    MANY = 1  # one statement that changed many documents; it waits for the singles


class EditStatus(models.TextChoices):
    """How far an edit of many devices is."""

    QUEUED = "queued", "queued"  # a worker changes its devices, or will
    DONE = "done", "done"  # each device has its result
    UNDOING = "undoing", "being undone"  # a worker restores its devices, or will
    UNDONE = "undone", "undone"  # final
    FAILED = "failed", "failed"  # the person may no longer do this; the rest stays


class EditResult(models.TextChoices):
    """What an edit did to a device."""

    PENDING = "pending", "pending"  # its turn has not come
    CHANGED = "changed", "changed"
    UNCHANGED = "unchanged", "unchanged"  # it has these values already
    LEFT_OUT = "left_out", "left out"  # it may not change so; the reason says why


class UndoResult(models.TextChoices):
    """What undoing an edit did to a device."""

    RESTORED = "restored", "restored"
    PARTLY = "partly", "partly restored"  # some values were changed since
    SKIPPED = "skipped", "skipped"  # nothing of it could be restored
