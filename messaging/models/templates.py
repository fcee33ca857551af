"""Approved words to use again: templates with a text for each language, every version of it kept."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from crm.common.channels import Channel
from crm.common.tenancy import TenantManager


class TemplateLanguage(models.TextChoices):
    ENGLISH = "en", _("English")
    FRENCH = "fr", _("French")
    SWAHILI = "sw", _("Swahili")


class Template(models.Model):
    """A named text of a client for one channel, one for each language it has; merge fields as in a campaign.

    Dialects call those for SMS predefined messages. The name is unique within a client whatever its letter case.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=80)
    channel = models.CharField(max_length=10, choices=Channel, default=Channel.SMS, db_default=Channel.SMS)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint("client", Lower("name"), name="template_name_once")]

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    """What a template said in one language from `created_at` on. The newest row of a language holds; one with neither
    text nor content ends it. `content`: of a mail {subject, html}, each where it is not empty.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="versions", db_index=False)
    language = models.CharField(max_length=2, choices=TemplateLanguage)
    text = models.TextField(blank=True)
    content = models.JSONField(default=dict, blank=True, db_default={})
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["template", "language", "-id"], name="template_version_newest")]

    def __str__(self) -> str:
        return f"{self.template_id} in {self.language}"
