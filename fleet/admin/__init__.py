"""Django admin of the fleet index."""

from fleet.admin import cohorts, index

__all__ = ["cohorts", "index"]
