"""The ways a message can travel."""

from django.db.models import TextChoices


class Channel(TextChoices):
    SMS = "sms", "SMS"
    WHATSAPP = "whatsapp", "WhatsApp"
    EMAIL = "email", "Email"


# Those by which one message is written to many: by WhatsApp an approved template.
CAMPAIGN_CHANNELS = (Channel.SMS, Channel.WHATSAPP, Channel.EMAIL)
