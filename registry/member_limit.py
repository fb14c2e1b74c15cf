"""What a member may access in a tenant: all of it, or some projects and sites."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """The projects and sites (slug by key) whose devices a limited member may access.

    A device is within the limit when its project or its site is. What ``user_id``
    created for such devices stays theirs when a device moves away.
    """

    projects: dict[int, str]
    sites: dict[int, str]
    user_id: int | None = None

    def holds(self, *, project_id: int | None, site_id: int | None) -> bool:
        return project_id in self.projects or site_id in self.sites
