"""What a password may not be made of: the words that everybody tries first here."""

import re
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

WORDS = ("tarishi", "password", "admin", "mpesa", "safaricom", "whatsapp", "nairobi", "kenya", "message", "sms")
_LEAST_OWN = 6  # letters and digits beside such words


class NotOurName:
    """Refuses a password that is little more than the product's name or another word of `WORDS`."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raises: ValidationError."""
        rest = password.casefold()
        brand = "".join(re.findall(r"\w", settings.BRAND_NAME.casefold()))
        found = False
        for word in sorted({brand, *WORDS} - {""}, key=len, reverse=True):
            found = found or word in rest
            rest = rest.replace(word, "")
        if found and len(re.findall(r"\w", rest)) < _LEAST_OWN:
            raise ValidationError(_("This password is one of the first that others would try."), code="too_obvious")

    def get_help_text(self) -> str:
        return _("Not the name of this service with a number behind it.")
