"""When people may be written to: dated data, by country and class of message."""

from django.db import models
from django.db.models import F, Q


class MessageClass(models.TextChoices):
    """What a message is for. It decides the hours in which people may be written to."""

    INFORMATION = "information"
    PROMOTION = "promotion"


class SendingHours(models.Model):
    """From `opens` until `closes`, local time of the recipient's country, messages of a class may be sent there.

    The rule with the latest `valid_from` that is not in the future holds. country: ISO 3166, "" for every country
    without a rule of its own. A class without any rule may be sent at all hours. Kept by staff: a change of the law is
    a new row, so that one sees what held when.
    """

    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166 code; empty: every other country")
    message_class = models.CharField(max_length=12, choices=MessageClass)
    opens = models.TimeField(help_text="First minute, local time of the country")
    closes = models.TimeField(help_text="End, local time of the country")
    valid_from = models.DateField(help_text="First day on which it holds")
    note = models.CharField(max_length=200, blank=True, help_text="Where the rule is written")

    class Meta:
        ordering = ["country", "message_class", "-valid_from"]
        verbose_name_plural = "sending hours"
        constraints = [
            models.UniqueConstraint(fields=["country", "message_class", "valid_from"], name="sending_hours_once"),
            models.CheckConstraint(condition=Q(opens__lt=F("closes")), name="sending_hours_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.country or 'others'}, {self.message_class}: {self.opens:%H:%M} to {self.closes:%H:%M}"
