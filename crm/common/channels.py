"""The ways a message can travel."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Channel(TextChoices):
    SMS = "sms", "SMS"
    WHATSAPP = "whatsapp", "WhatsApp"
    EMAIL = "email", _("Email")


# Those by which one message is written to many: by WhatsApp an approved template.
CAMPAIGN_CHANNELS = (Channel.SMS, Channel.WHATSAPP, Channel.EMAIL)
