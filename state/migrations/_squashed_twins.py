"""What devices shall be and say that they are, and what the field sees."""

from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import partitioned_table, public_id, row_id
from state.migrations._past_twins import COLUMNS, INDEX
from state.migrations._tables import TWIN_CHANGE_COLUMNS, TWIN_CHANGE_INDEXES

MODELS = [
    migrations.CreateModel(
        name="Twin",
        fields=[
            (
                "device",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="registry.device",
                ),
            ),
            ("desired", models.JSONField(default=dict)),
            ("desired_version", models.BigIntegerField(default=0)),
            ("desired_at", models.DateTimeField(null=True)),
            ("reported", models.JSONField(default=dict)),
            ("reported_version", models.BigIntegerField(default=0)),
            ("reported_boot", models.BigIntegerField(null=True)),
            ("reported_session", models.CharField(blank=True, max_length=64)),
            ("reported_at", models.DateTimeField(null=True)),
            ("delta", models.JSONField(default=dict)),
            ("firmware", models.CharField(blank=True, max_length=64)),
            ("config_version", models.CharField(blank=True, max_length=64)),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
            ("desired_asks", models.JSONField(default=dict)),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("delta", {}), _negated=True),
                    fields=["device"],
                    name="state_twin_drifting",
                )
            ]
        },
    ),
    partitioned_table(
        migrations.CreateModel(
            name="TwinChange",
            fields=[
                row_id(),
                ("at", models.DateTimeField()),
                (
                    "side",
                    models.CharField(
                        choices=[("desired", "desired"), ("reported", "reported")],
                        max_length=8,
                    ),
                ),
                ("version", models.BigIntegerField()),
                ("changes", models.JSONField()),
                (
                    "device",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="registry.device",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
            options={"db_table": "state_twinchange"},
        ),
        columns=TWIN_CHANGE_COLUMNS,
        key="at",
        indexes=TWIN_CHANGE_INDEXES,
    ),
    partitioned_table(
        migrations.CreateModel(
            name="PastTwin",
            fields=[
                row_id(),
                ("firmware", models.CharField(blank=True, max_length=64)),
                ("config_version", models.CharField(blank=True, max_length=64)),
                ("until", models.DateTimeField()),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
                (
                    "device",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="registry.device",
                    ),
                ),
            ],
            options={"db_table": "state_pasttwin"},
        ),
        columns=COLUMNS,
        key="until",
        indexes=INDEX,
    ),
    migrations.CreateModel(
        name="PastStart", fields=[row_id(), ("at", models.DateTimeField())]
    ),
    migrations.CreateModel(
        name="FieldFeedback",
        fields=[
            row_id(),
            public_id(),
            ("at", models.DateTimeField()),
            (
                "observation",
                models.CharField(
                    choices=[
                        ("works_fine", "works fine"),
                        ("dead", "dead"),
                        ("unplugged", "unplugged"),
                        ("damaged", "damaged"),
                        ("no_signal", "no network signal"),
                        ("not_found", "not found"),
                        ("other", "something else"),
                    ],
                    max_length=16,
                ),
            ),
            ("note", models.TextField(blank=True)),
            (
                "by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "device",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="+", to="registry.device"
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["device", "-at"], name="state_feedback_newest")
            ]
        },
    ),
]
