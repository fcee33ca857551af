"""What helps a person write: the number tests go to."""

from django.conf import settings
from django.db import models

from crm.common.tenancy import TenantManager


class OwnNumber(models.Model):
    """The number of a member's own phone, asked once, to which “Send me a test” goes."""

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    phone = models.CharField(max_length=16, help_text="E.164 with plus")
    updated_at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["client", "user"], name="own_number_once")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.phone}"
