"""What staff tell everybody of troubles and planned work, on the public status page."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Impact(models.TextChoices):
    NOTICE = "notice", _("Planned work")
    DEGRADED = "degraded", _("Slow or partly failing")
    OUTAGE = "outage", _("Not working")


class Incident(models.Model):
    """One trouble or piece of planned work. It is open from `started_at` until `ended_at`; None: it goes on."""

    title = models.CharField(max_length=120, help_text="One sentence that customers understand")
    text = models.TextField(blank=True, max_length=4000, help_text="What fails, what still works, when you look again")
    impact = models.CharField(max_length=10, choices=Impact, default=Impact.DEGRADED)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it goes on")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-started_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ended_at=None) | models.Q(ended_at__gte=models.F("started_at")),
                name="incident_ends_after_its_start",
            )
        ]

    def __str__(self) -> str:
        return self.title
