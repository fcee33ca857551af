"""Who was asked to join an organisation."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models.clients import Client, Role
from crm.common.phones import display_phone
from crm.common.tenancy import TenantManager


class Invitation(models.Model):
    """A link that makes whoever opens it a member, once. Only the digest of its token is kept.

    Either `email` or `phone` (E.164) is filled. Ends by being accepted, withdrawn or replaced (`ended_at`), or by
    `expires_at`.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=16, blank=True)
    role = models.CharField(max_length=12, choices=Role)
    token_hash = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["client", "-id"], condition=Q(ended_at=None), name="invitation_open")]

    def __str__(self) -> str:
        return self.address

    @property
    def address(self) -> str:
        """Where it was sent."""
        return self.email or display_phone(self.phone)
