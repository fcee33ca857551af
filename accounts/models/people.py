"""People who sign in: an email address, how they like the pages, and what they may do in the back office."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _


class UserManager(BaseUserManager["User"]):
    """Makes users by email address; addresses are stored in lower case, so that signing in ignores letter case."""

    def create_user(self, email: str, password: str | None = None, **fields) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class Theme(models.TextChoices):
    DEVICE = "", _("As the device")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class Density(models.TextChoices):
    """How high the rows of tables are: 56, 44 or 36 px."""

    TOUCH = "touch", _("For fingers")
    COMFORTABLE = "comfortable", _("Comfortable")
    COMPACT = "compact", _("Compact")


class User(AbstractBaseUser, PermissionsMixin):
    """A person, who signs in by email address. Staff run the installation; members act for a client.

    is_confirmed: typed a code that was sent to their phone or mailbox, or was let in by somebody who knows them; others
    are asked for a code at sign-in. security_changed_at is part of every session's hash: moving it ends them all (A1).
    """

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    language = models.CharField(max_length=2, blank=True, choices=settings.LANGUAGES, help_text="Empty: the browser's")
    phone = models.CharField(max_length=16, blank=True, help_text="Own number, E.164")
    phone_verified_at = models.DateTimeField(null=True, blank=True)
    is_confirmed = models.BooleanField(default=True)
    security_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    theme = models.CharField(max_length=5, blank=True, choices=Theme)
    density = models.CharField(max_length=12, choices=Density, default=Density.COMFORTABLE)
    single_keys = models.BooleanField(default=True, help_text="Keyboard shortcuts of one key")
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["phone"], condition=Q(phone_verified_at__isnull=False), name="verified_phone_once"
            )
        ]

    def __str__(self) -> str:
        return self.name or self.email

    def _get_session_auth_hash(self, secret: Any = None) -> str:
        """What Django compares at every request: changes with the password and with every change of second steps."""
        changed = self.security_changed_at.isoformat() if self.security_changed_at else ""
        return salted_hmac("accounts.session", self.password + changed, secret=secret, algorithm="sha256").hexdigest()
