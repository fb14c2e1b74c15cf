"""Django admin of state: what is judged, to look at; what people say, by services."""

from state.admin import alarms, read_only

__all__ = ["alarms", "read_only"]
