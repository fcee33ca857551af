"""When people may be written to: dated data, by country and class of message."""

from datetime import date

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class MessageClass(models.TextChoices):
    """What a message is for. It decides the hours in which people may be written to."""

    INFORMATION = "information", _("Information")
    PROMOTION = "promotion", _("Promotion")


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


class CountryRules(models.Model):
    """What a country asks of those who write to its people, from `valid_from` until the next row of that country.

    opt_out_text: ends promotions of clients that wrote none of their own. documents: kinds of models.senders that a
    sender ID needs. separate_classes: information may not leave by a sender ID
    for promotions either; a promotion never leaves by one for information. network_ranges: as
    crm.common.networks.read_ranges reads them, "" for those that this version brings.
    """

    country = models.CharField(max_length=2, help_text="ISO 3166 code")
    valid_from = models.DateField(help_text="First day on which it holds")
    opt_out_text = models.CharField(max_length=80, blank=True)
    documents = models.JSONField(default=list, blank=True)
    separate_classes = models.BooleanField(default=True)
    network_ranges = models.TextField(
        blank=True,
        default="",
        db_default="",
        max_length=4000,
        help_text="A network a line, by the first three digits of the national number: Safaricom: 700-729 740. "
        "Empty: as this version brings them",
    )
    note = models.CharField(max_length=200, blank=True, help_text="Where the rule is written")

    class Meta:
        ordering = ["country", "-valid_from"]
        verbose_name_plural = "country rules"
        constraints = [models.UniqueConstraint(fields=["country", "valid_from"], name="country_rules_once")]

    def __str__(self) -> str:
        return f"{self.country} from {self.valid_from}"

    @classmethod
    def of(cls, country: str, day: date | None = None) -> "CountryRules":
        """What holds in a country on a day (today, in UTC); an unsaved one that asks for nothing where no row does."""
        rows = cls.objects.filter(country=country, valid_from__lte=day or timezone.now().date())
        return rows.order_by("-valid_from").first() or cls(country=country, separate_classes=False)
