"""Counts, health and rollback of jobs."""

from django.db import migrations, models

from iotplatform.common.migration_operations import row_id

MODELS = [
    migrations.CreateModel(
        name="JobCount",
        fields=[
            row_id(),
            ("wave", models.PositiveIntegerField(blank=True, null=True)),
            ("status", models.CharField(max_length=16)),
            ("failure_class", models.CharField(blank=True, max_length=24)),
            ("waits_for", models.CharField(blank=True, max_length=8)),
            ("is_ended", models.BooleanField(default=False)),
            ("is_passed_over", models.BooleanField(default=False)),
            ("members", models.IntegerField()),
            (
                "job",
                models.ForeignKey(
                    db_constraint=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="commands.job",
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="JobHealth",
        fields=[
            (
                "job",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="commands.job",
                ),
            ),
            ("gate", models.JSONField(blank=True, null=True)),
            ("before", models.JSONField(blank=True, null=True)),
            ("after", models.JSONField(blank=True, null=True)),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="JobRollback",
        fields=[
            (
                "job",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="commands.job",
                ),
            ),
            (
                "of",
                models.OneToOneField(
                    on_delete=models.CASCADE, related_name="+", to="commands.job"
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="MemberValues",
        fields=[
            (
                "target",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="commands.jobtarget",
                ),
            ),
            ("params", models.JSONField(blank=True, null=True)),
            ("previous", models.JSONField(blank=True, null=True)),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
        ],
    ),
]
