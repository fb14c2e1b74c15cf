"""The API clients of tests/registry."""

from tests.registry.conftest import acme, act_as, globex, manager, superuser, viewer

__all__ = ["acme", "act_as", "globex", "manager", "superuser", "viewer"]
