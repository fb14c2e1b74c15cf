"""Find the jobs with combinations without a look at every job."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Index the jobs whose options name combinations."""

    dependencies = [("commands", "0024_related_health")]
    operations = [
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("rollout__contains", {"combinations": [{}]})),
                fields=["id"],
                name="commands_job_combinations",
            ),
        ),
    ]
