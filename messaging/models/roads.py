"""What is known and was decided about the roads out: decisions, their speed limits, and how messages fared on them."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from messaging.reasons import in_words


class DecisionKind(models.TextChoices):
    """What was decided about a provider account. The product itself decides to rest, wake and age."""

    RESTED = "rested", _("Taken out of use")
    WORKING = "working", _("In use again")
    PAUSED = "paused", _("Paused")
    RESUMED = "resumed", _("Resumed")
    WEIGHTED = "weighted", _("Share changed")
    MOVED = "moved", _("Queue moved")
    AGED = "aged", _("Waiting messages failed")
    BALANCE = "balance", _("Balance is low")


class RouteDecision(models.Model):
    """One decision about a provider account, kept for good: when, what, why and by whom (None: the product).

    messages: how many it moved or ended. facts: what the words leave out, such as {"to": {"3": 1200}}, messages by
    the account that got them, or {"before": 100, "after": 20}.
    """

    account = models.ForeignKey("messaging.ProviderAccount", on_delete=models.CASCADE, related_name="decisions")
    kind = models.CharField(max_length=10, choices=DecisionKind)
    reason = models.CharField(max_length=300, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    messages = models.PositiveIntegerField(default=0)
    facts = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["account", "-id"], name="decision_by_account")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"

    @property
    def reason_in_words(self) -> str:
        """The reason in the reader's language, where it is the product's own."""
        return in_words(self.reason)


class ProviderTally(models.Model):
    """A change in a figure of one provider account and network, by the UTC ten minutes in which messages were sent.

    Rows are only ever added, in the transaction that moves the messages, and melted together by the sweep like
    MessageTally. measure: accepted, unconfirmed, retried, rejected, delivered, failed:<code>, seconds:<bucket> (to
    delivery, see messaging/provider_figures.py) or cost:<currency>, whose amount is in micros; else messages.
    """

    account = models.ForeignKey("messaging.ProviderAccount", on_delete=models.CASCADE, related_name="+", db_index=False)
    slot = models.DateTimeField()
    country = models.CharField(max_length=2, blank=True)
    network = models.CharField(max_length=20, blank=True)
    measure = models.CharField(max_length=48)
    amount = models.BigIntegerField()
    merged = models.BooleanField(default=False)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "provider tallies"
        constraints = [
            models.UniqueConstraint(
                fields=["slot", "account", "country", "network", "measure"],
                condition=models.Q(merged=True),
                name="provider_tally_merged_once",
            ),
        ]
        indexes = [
            models.Index(fields=["slot"], name="provider_tally_by_slot"),
            models.Index(fields=["id"], condition=models.Q(merged=False), name="provider_tally_unmerged"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.measure} of account {self.account_id}"


class ProviderPace(models.Model):
    """When the next message of an account with a rate may leave, in epoch seconds of the database's clock.

    Each sending process moves it on by what it is going to send before it sends, so all of them together keep the rate.
    """

    account = models.OneToOneField("messaging.ProviderAccount", on_delete=models.CASCADE, primary_key=True)
    free_at = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"pace of account {self.account_id}"
