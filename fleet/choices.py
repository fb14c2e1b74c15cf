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
