"""The ways a message can travel."""

from django.db.models import TextChoices


class Channel(TextChoices):
    SMS = "sms", "SMS"
    WHATSAPP = "whatsapp", "WhatsApp"
    EMAIL = "email", "Email"


# One text is written to many by these; WhatsApp asks for a template, which campaigns do not fill in.
CAMPAIGN_CHANNELS = (Channel.SMS, Channel.EMAIL)
