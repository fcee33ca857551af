"""What a client may send, what its organisation has a second person look at, and how much went abroad."""

from django.db import models

from crm.common.tenancy import TenantManager
from messaging.models.hours import CountryRules, MessageClass


class SendingRules(models.Model):
    """The limits of one client (L2); a client without a row has the installation's defaults.

    Numbers: None takes the default or, where there is none, means no limit. equal and any: messages to one recipient.
    Days are those of the client's time zone. countries: ISO 3166 codes beside the client's own; None: every country.
    trial: only numbers of the client's own people may be written to. approve_above_*: a campaign with more people, or
    one that costs more, waits for a second person of the organisation; None: nobody is asked.
    signature, opt_out_text: end every message written on the pages, and every promotion; they count as text.
    """

    client = models.OneToOneField("accounts.Client", on_delete=models.CASCADE, related_name="+")
    equal_per_hour = models.PositiveIntegerField(
        null=True, blank=True, help_text="Equal texts to one number in an hour; empty: the default; 0: no limit"
    )
    any_per_hour = models.PositiveIntegerField(
        null=True, blank=True, help_text="Messages to one number in an hour; empty: the default; 0: no limit"
    )
    any_per_day = models.PositiveIntegerField(
        null=True, blank=True, help_text="Messages to one number in 24 hours; empty: the default; 0: no limit"
    )
    messages_per_day = models.PositiveIntegerField(null=True, blank=True, help_text="Messages a day; empty: no limit")
    spend_per_day_micros = models.BigIntegerField(
        null=True, blank=True, help_text="Spending a day, millionths of the currency; empty: no limit"
    )
    foreign_per_day = models.PositiveIntegerField(
        null=True, blank=True, help_text="Messages a day to other countries together; empty: no limit"
    )
    countries = models.JSONField(
        null=True, blank=True, help_text='Countries beside the own, such as ["TZ", "UG"]; empty: every country'
    )
    trial = models.BooleanField(default=False, help_text="Only to numbers of its own people")
    approve_above_people = models.PositiveIntegerField(null=True, blank=True)
    approve_above_micros = models.BigIntegerField(null=True, blank=True)
    signature = models.CharField(max_length=60, blank=True, default="", db_default="")
    opt_out_text = models.CharField(max_length=80, blank=True, default="", db_default="")
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "sending rules"

    def __str__(self) -> str:
        return f"Rules of client {self.client_id}"

    def ending(self, message_class: str) -> str:
        """What follows the text of a message of this class, with the line breaks before it; "" for nothing."""
        way_out = ""
        if message_class == MessageClass.PROMOTION:
            way_out = self.opt_out_text or CountryRules.of(self.client.country).opt_out_text
        lines = [self.signature, way_out]
        return "".join(f"\n{line}" for line in lines if line)


class ForeignCount(models.Model):
    """How many messages a client sent to one other country on a day of its own time zone.

    Kept in the transaction that accepts them: it caps a day, and the first row tells that a country is new.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    country = models.CharField(max_length=2)
    messages = models.PositiveIntegerField()

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["client", "day", "country"], name="foreign_count_once")]
        indexes = [models.Index(fields=["client", "country", "day"], name="foreign_count_by_country")]

    def __str__(self) -> str:
        return f"{self.messages} to {self.country} on {self.day}"
