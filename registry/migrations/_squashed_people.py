"""People, what they may do, and what they did."""

import django.contrib.auth.models
import django.contrib.auth.validators
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="User",
        fields=[
            row_id(),
            ("password", models.CharField(max_length=128, verbose_name="password")),
            (
                "last_login",
                models.DateTimeField(blank=True, null=True, verbose_name="last login"),
            ),
            (
                "is_superuser",
                models.BooleanField(
                    default=False,
                    help_text="Designates that this user has all permissions without explicitly assigning them.",
                    verbose_name="superuser status",
                ),
            ),
            (
                "username",
                models.CharField(
                    error_messages={
                        "unique": "A user with that username already exists."
                    },
                    help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                    max_length=150,
                    unique=True,
                    validators=[
                        django.contrib.auth.validators.UnicodeUsernameValidator()
                    ],
                    verbose_name="username",
                ),
            ),
            (
                "first_name",
                models.CharField(blank=True, max_length=150, verbose_name="first name"),
            ),
            (
                "last_name",
                models.CharField(blank=True, max_length=150, verbose_name="last name"),
            ),
            (
                "email",
                models.EmailField(
                    blank=True, max_length=254, verbose_name="email address"
                ),
            ),
            (
                "is_staff",
                models.BooleanField(
                    default=False,
                    help_text="Designates whether the user can log into this admin site.",
                    verbose_name="staff status",
                ),
            ),
            (
                "is_active",
                models.BooleanField(
                    default=True,
                    help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                    verbose_name="active",
                ),
            ),
            (
                "date_joined",
                models.DateTimeField(
                    default=django.utils.timezone.now, verbose_name="date joined"
                ),
            ),
            public_id(),
            (
                "groups",
                models.ManyToManyField(
                    blank=True,
                    help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                    related_name="user_set",
                    related_query_name="user",
                    to="auth.group",
                    verbose_name="groups",
                ),
            ),
            (
                "user_permissions",
                models.ManyToManyField(
                    blank=True,
                    help_text="Specific permissions for this user.",
                    related_name="user_set",
                    related_query_name="user",
                    to="auth.permission",
                    verbose_name="user permissions",
                ),
            ),
        ],
        managers=[("objects", django.contrib.auth.models.UserManager())],
    ),
    migrations.CreateModel(
        name="Membership",
        fields=[
            row_id(),
            public_id(),
            (
                "role",
                models.CharField(
                    choices=[
                        ("viewer", "viewer"),
                        ("operator", "operator"),
                        ("approver", "approver"),
                        ("manager", "manager"),
                        ("admin", "admin"),
                    ],
                    default="viewer",
                    max_length=16,
                ),
            ),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            (
                "user",
                models.ForeignKey(
                    on_delete=models.CASCADE,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="+", to="registry.tenant"
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("user", "tenant"), name="registry_one_role_per_tenant"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="MembershipLimit",
        fields=[
            row_id(),
            public_id(),
            (
                "membership",
                models.ForeignKey(
                    on_delete=models.CASCADE,
                    related_name="limits",
                    to="registry.membership",
                ),
            ),
            (
                "project",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.project",
                ),
            ),
            (
                "site",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.site",
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="+", to="registry.tenant"
                ),
            ),
        ],
        options={
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("project__isnull", True), ("site__isnull", False)),
                        models.Q(("project__isnull", False), ("site__isnull", True)),
                        _connector="OR",
                    ),
                    name="registry_limit_is_project_or_site",
                ),
                models.UniqueConstraint(
                    fields=("membership", "project"), name="registry_limit_project_once"
                ),
                models.UniqueConstraint(
                    fields=("membership", "site"), name="registry_limit_site_once"
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="ApiToken",
        fields=[
            row_id(),
            public_id(),
            ("name", models.CharField(max_length=100)),
            ("digest", models.CharField(editable=False, max_length=64, unique=True)),
            ("prefix", models.CharField(editable=False, max_length=12)),
            (
                "scopes",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.CharField(
                        choices=[
                            ("read", "read"),
                            ("operate", "operate"),
                            ("manage", "manage"),
                        ],
                        max_length=16,
                    ),
                    default=list,
                    size=None,
                ),
            ),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            ("expires_at", models.DateTimeField(blank=True, null=True)),
            ("last_used_at", models.DateTimeField(blank=True, null=True)),
            ("revoked_at", models.DateTimeField(blank=True, null=True)),
            (
                "user",
                models.ForeignKey(
                    on_delete=models.CASCADE,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="AuditEntry",
        fields=[
            row_id(),
            public_id(),
            ("at", models.DateTimeField()),
            ("kind", models.CharField(max_length=64)),
            ("object_id", models.CharField(max_length=64)),
            ("object_name", models.CharField(blank=True, max_length=200)),
            (
                "action",
                models.CharField(
                    choices=[
                        ("created", "created"),
                        ("changed", "changed"),
                        ("deleted", "deleted"),
                    ],
                    max_length=8,
                ),
            ),
            ("before", models.JSONField(null=True)),
            ("after", models.JSONField(null=True)),
            ("actor", models.CharField(blank=True, max_length=150)),
            ("token_name", models.CharField(blank=True, max_length=100)),
            ("door", models.CharField(blank=True, max_length=16)),
            (
                "device",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="registry.device",
                ),
            ),
            (
                "project",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="registry.project",
                ),
            ),
            (
                "site",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="registry.site",
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
            (
                "token",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="registry.apitoken",
                ),
            ),
            (
                "user",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
        options={
            "verbose_name_plural": "audit entries",
            "indexes": [
                models.Index(fields=["tenant", "-id"], name="registry_audit_by_tenant"),
                models.Index(fields=["tenant", "at"], name="registry_audit_by_time"),
                models.Index(
                    django.contrib.postgres.indexes.OpClass(
                        models.F("object_name"), name="varchar_pattern_ops"
                    ),
                    models.OrderBy(models.F("id"), descending=True),
                    name="registry_audit_by_name",
                ),
                models.Index(
                    fields=["object_id", "-id"], name="registry_audit_by_object"
                ),
                models.Index(
                    condition=models.Q(("user__isnull", False)),
                    fields=["user", "-id"],
                    name="registry_audit_by_user",
                ),
                models.Index(
                    condition=models.Q(("device__isnull", False)),
                    fields=["device", "-id"],
                    name="registry_audit_by_device",
                ),
            ],
        },
    ),
]
