"""WhatsApp templates: words that WhatsApp approves before they may be sent, and what became of them there."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from crm.common.tenancy import TenantManager


class TemplateCategory(models.TextChoices):
    """What WhatsApp bills a message as. Its own texts write codes for signing in: those can be sent, not written."""

    UTILITY = "utility", _("Utility: what they asked for, such as a bill or an order")
    MARKETING = "marketing", _("Marketing: an offer, news, an invitation")
    AUTHENTICATION = "authentication", _("Authentication: a code for signing in")


class TemplateState(models.TextChoices):
    """draft → review → approved ⇄ paused; review → rejected → review | appeal; disabled is the end.

    Only an approved one can be sent. All but `draft` are what WhatsApp said last, by webhook or when it was asked.
    """

    DRAFT = "draft", _("Draft")
    REVIEW = "review", _("In review (up to 24 h)")
    APPROVED = "approved", _("Approved")
    PAUSED = "paused", _("Paused")
    REJECTED = "rejected", _("Rejected")
    APPEAL = "appeal", _("Appeal sent")
    DISABLED = "disabled", _("Disabled")


class TemplateQuality(models.TextChoices):
    """What those who got it make of it, as WhatsApp measures."""

    UNKNOWN = "unknown", _("quality not known yet")
    HIGH = "high", _("quality high")
    MEDIUM = "medium", _("quality medium")
    LOW = "low", _("quality low")


class WhatsAppTemplate(models.Model):
    """One language of a template. Rows of one name are its languages.

    header, body, footer: what people read; the body holds `{{1}}` or `{{first_name}}`. buttons: [{kind: "reply" |
    "url" | "phone", text, value}], whose links hold no variable. samples: a value for each variable, which WhatsApp
    wants to see. needs: what it takes besides the variables of its body, and that pages here do not fill in: "file"
    (a header that is an image, video or document), "header" or "button" (a variable there); "" for most.
    account: where it was handed in. provider_id: WhatsApp's. reason: why it is where it is, in WhatsApp's words.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    account = models.ForeignKey("messaging.ProviderAccount", null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=512)
    language = models.CharField(max_length=15, help_text="As WhatsApp writes it: en, en_US, fr, sw")
    category = models.CharField(max_length=15, choices=TemplateCategory, default=TemplateCategory.UTILITY)
    header = models.CharField(max_length=60, blank=True)
    body = models.TextField()
    footer = models.CharField(max_length=60, blank=True)
    buttons = models.JSONField(default=list, blank=True)
    samples = models.JSONField(default=dict, blank=True)
    needs = models.CharField(max_length=10, blank=True)
    state = models.CharField(max_length=10, choices=TemplateState, default=TemplateState.DRAFT)
    quality = models.CharField(max_length=10, choices=TemplateQuality, default=TemplateQuality.UNKNOWN)
    reason = models.CharField(max_length=300, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)
    provider_id = models.CharField(max_length=40, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantManager()

    class Meta:
        ordering = ["name", "language"]
        constraints = [models.UniqueConstraint(fields=["client", "name", "language"], name="whatsapp_template_once")]

    def __str__(self) -> str:
        return f"{self.name} ({self.language})"

    @property
    def can_be_sent(self) -> bool:
        return self.state == TemplateState.APPROVED


class WhatsAppTemplateEvent(models.Model):
    """What happened to a template. kind: submitted, state, quality, category; before and after in our words.

    price_micros: of one message at home, where the category changed its price. detail: WhatsApp's own words.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    template = models.ForeignKey(WhatsAppTemplate, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=10)
    before = models.CharField(max_length=15, blank=True)
    after = models.CharField(max_length=15, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    price_micros = models.BigIntegerField(null=True, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.kind} of {self.template_id}: {self.after}"
