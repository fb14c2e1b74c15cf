"""Members of a job that a person should look at come first on its page."""

from django.db import migrations, models
from django.db.models import Q

FAILURE = Q(status__in=["timed_out", "unknown", "expired", "failed"])


class Migration(migrations.Migration):
    """Index the commands of jobs that are such members."""

    dependencies = [("commands", "0001_squashed_0022_job_health")]
    operations = [
        migrations.AddIndex(
            "command",
            models.Index(
                fields=["job", "id"],
                name="commands_exceptions",
                condition=Q(job__isnull=False) & (FAILURE | Q(needs_person=True)),
            ),
        )
    ]
