"""Who does not want messages, what was recorded about it, and the pages on which people say so themselves."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from contacts.models.book import EMAIL_LENGTH, PROOF_LENGTH
from crm.common.channels import Channel
from crm.common.tenancy import TenantManager


def normal_address(channel: str, address: str) -> str:
    """The one spelling under which an address is kept and compared."""
    return address.strip().lower() if channel == Channel.EMAIL else address.strip()


class OptOutSource(models.TextChoices):
    STOP = "stop", _("The person replied STOP")
    LINK = "link", _("The person used the opt-out link")
    NETWORK = "network", _("The network blocks promotions to this number")
    BOUNCE = "bounce", _("Mails to this address come back")
    COMPLAINT = "complaint", _("The person marked a mail as spam")
    STAFF = "staff", _("Entered by hand")
    UPLOAD = "upload", _("From an uploaded list")
    API = "api", _("By API")


class OptOut(models.Model):
    """An address that wants no messages from a client on a channel; `sender` "" means from none of its senders.

    Stands for the address, not for a contact: it outlives the contact and no file of contacts changes it. `proof` is
    what shows that the person wanted it: the words of the reply, or what a colleague wrote down.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    channel = models.CharField(max_length=10, choices=Channel)
    address = models.CharField(max_length=EMAIL_LENGTH, help_text="E.164 number, or email address in lower case")
    sender = models.CharField(max_length=40, blank=True, default="")
    source = models.CharField(max_length=10, choices=OptOutSource)
    proof = models.CharField(max_length=PROOF_LENGTH, blank=True, default="", db_default="")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["client", "channel", "address", "sender"], name="opt_out_once"),
        ]

    def __str__(self) -> str:
        return f"{self.channel}:{self.address}"


class OptOutChange(models.Model):
    """What was recorded about an address, never changed: out (no more messages) or in again, why, and by whom."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    channel = models.CharField(max_length=10, choices=Channel)
    address = models.CharField(max_length=EMAIL_LENGTH)
    sender = models.CharField(max_length=40, blank=True, default="")
    is_out = models.BooleanField()
    source = models.CharField(max_length=10, choices=OptOutSource)
    note = models.CharField(max_length=PROOF_LENGTH, blank=True, default="")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["client", "address", "-id"], name="opt_out_change_by_address")]

    def __str__(self) -> str:
        return f"{self.channel}:{self.address} {'out' if self.is_out else 'in'}"


class OptOutLink(models.Model):
    """The page on which the owner of an address says STOP to a sender. Its token carries the row's id, no number."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    channel = models.CharField(max_length=10, choices=Channel)
    address = models.CharField(max_length=EMAIL_LENGTH)
    sender = models.CharField(max_length=40, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["client", "channel", "address", "sender"], name="opt_out_link_once"),
        ]

    def __str__(self) -> str:
        return f"link {self.pk}"
