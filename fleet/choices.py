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
