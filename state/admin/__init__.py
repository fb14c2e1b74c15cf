"""Django admin of state: read-only tables, and what people write by services."""

from state.admin import alarms, read_only

__all__ = ["alarms", "read_only"]
