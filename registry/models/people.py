"""People, their place in a tenant, and the keys of their scripts."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models

from iotplatform.common.models import PublicIdModel
from registry.choices import Role, Scope
from registry.models.places import Project, Site, Tenant


class User(PublicIdModel, AbstractUser):
    """A person; the name may look like ``operator@acme``."""

    # Not columns. What the API token that they came with allows at most (None: no
    # token, no limit), and their roles, read once for each user object.
    rights_limit: frozenset[Any] | None = None
    roles_by_tenant: dict[int, str] | None = None

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Django's own permissions are not asked: roles say what people may do."""
        return self.is_active and self.is_superuser

    def has_module_perms(self, app_label: str) -> bool:
        """As for each permission."""
        return self.has_perm(app_label)


class Membership(PublicIdModel):
    """A person's role in a tenant."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=16, choices=Role, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "tenant"], name="registry_one_role_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} is {self.role} of {self.tenant_id}"


class MembershipLimit(PublicIdModel):
    """A project or a site that a member is limited to; no such row: no limit."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    membership = models.ForeignKey(
        Membership, on_delete=models.CASCADE, related_name="limits"
    )
    # Protected: a limit that vanished with its last site would be none at all.
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    site = models.ForeignKey(
        Site, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(project__isnull=True, site__isnull=False)
                | models.Q(project__isnull=False, site__isnull=True),
                name="registry_limit_is_project_or_site",
            ),
            models.UniqueConstraint(
                fields=["membership", "project"], name="registry_limit_project_once"
            ),
            models.UniqueConstraint(
                fields=["membership", "site"], name="registry_limit_site_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.membership_id} is limited to {self.project_id or self.site_id}"


class ApiToken(PublicIdModel):
    """A key of a script: shown once, kept as a SHA-256 digest."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # The key's first characters, so that a person recognises it in a list.
    prefix = models.CharField(max_length=12, editable=False)
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope), default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
