"""The ways a message can travel."""

from django.db.models import TextChoices


class Channel(TextChoices):
    SMS = "sms", "SMS"
    WHATSAPP = "whatsapp", "WhatsApp"
    EMAIL = "email", "Email"
