"""People, their memberships in tenants, and the keys of their scripts."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models

from iotplatform.common.models import PublicIdModel
from registry.choices import Role, TokenScope
from registry.models.places import Project, Site, Tenant


class User(PublicIdModel, AbstractUser):
    """A person; the name may look like ``operator@acme``."""

    # Not columns: what the API token in use allows at most (None: no token, no limit),
    # and the person's roles and tenants, read once for each user object.
    rights_limit: frozenset[Any] | None = None
    roles_by_tenant: dict[int, str] | None = None
    tenants: list[Tenant] | None = None

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Ignore Django's own permissions: roles decide what people may do."""
        return self.is_active and self.is_superuser

    def has_module_perms(self, app_label: str) -> bool:
        """The same for the whole app."""
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
    """A project or a site that a member is limited to; without such a row: no limit."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    membership = models.ForeignKey(
        Membership, on_delete=models.CASCADE, related_name="limits"
    )
    # Protected: if the last site of a limit were deleted, there would be no limit.
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
    """A key of a script: shown once, stored as a SHA-256 digest."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # The key's first characters, so that people recognise it in a list.
    prefix = models.CharField(max_length=12, editable=False)
    scopes = ArrayField(
        models.CharField(max_length=16, choices=TokenScope), default=list
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
