"""What a draft to many people comes to, counted beside the page that shows it."""

from django.db import models

from crm.common.tenancy import TenantManager


class KeptQuote(models.Model):
    """The figures of one draft (services/quoting.py), or how far a worker has come with them.

    version: Campaign.updated_at of the draft that was counted. people_done of `people`, roughly, while `done_at` is
    None. figures: services.quoting.Figures. They show three people by name, so no row outlives its hour.
    """

    campaign = models.OneToOneField("messaging.Campaign", primary_key=True, on_delete=models.CASCADE, related_name="+")
    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    version = models.DateTimeField()
    asked_at = models.DateTimeField()
    people = models.PositiveIntegerField(default=0)
    people_done = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    figures = models.JSONField(default=dict)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.people_done} of {self.people}"
