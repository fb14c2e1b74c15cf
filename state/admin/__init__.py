"""Django admin of state: what is judged, to look at; what people say, by services."""

from state.admin import seen, written

__all__ = ["seen", "written"]
