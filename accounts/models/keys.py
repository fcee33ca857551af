"""What programs carry: API keys and tokens, how often they call, and which calls were made already."""

from django.db import models

from accounts.models.clients import Client
from accounts.models.people import User
from crm.common.tenancy import TenantManager


class ApiKey(models.Model):
    """One credential of a client's programs: a key, and a secret and application key for the dialects that want three.

    Only SHA-256 digests are kept: each value has at least 160 random bits, so it needs no slow hash. `prefix` and
    `last_four` are shown in lists. Ends by `revoked_at` or `expires_at`. simulation: what it sends never leaves and
    costs nothing. replaced_by: the key that took over by a rotation; this one then ends at `expires_at`.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=20)
    last_four = models.CharField(max_length=4, default="", editable=False)
    simulation = models.BooleanField(default=False)
    key_hash = models.CharField(max_length=64, unique=True)
    secret_hash = models.CharField(max_length=64)
    app_key_hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    allowed_addresses = models.JSONField(default=list, blank=True, help_text="IP addresses or networks; empty: any")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_address = models.CharField(max_length=45, blank=True)
    last_used_for = models.CharField(max_length=100, blank=True, help_text="Method and path of that call, without ids")
    replaced_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["client", "-created_at"], name="api_key_by_client")]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"

    @property
    def hint(self) -> str:
        """What may be shown of the key: `tk_live_1a2b3c4d…9xYz`."""
        return f"{self.prefix}…{self.last_four}"

    def is_live(self, at) -> bool:
        """Whether the key is accepted at the moment `at`: not revoked, not expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)


class EndedToken(models.Model):
    """An access token that was logged out, kept until it would have expired by itself."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    token_id = models.CharField(max_length=32, unique=True)
    expires_at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="ended_token_by_expiry")]


class RateCounter(models.Model):
    """How many calls of one kind a key made in the present minute. One row per key and kind, used again each minute."""

    name = models.CharField(max_length=80, primary_key=True, help_text="kind:key id")
    minute = models.BigIntegerField(help_text="Minutes since 1970 by the database's clock")
    calls = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["minute"], name="rate_counter_by_minute")]


class IdempotencyRecord(models.Model):
    """The answer to a POST that carried an Idempotency-Key, written in the transaction of its effect (I3)."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    endpoint = models.CharField(max_length=200, help_text="Path of the call, without the query")
    key_hash = models.CharField(max_length=64)
    body_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.TextField(help_text="The JSON answered, byte for byte")
    expires_at = models.DateTimeField(help_text="By the database's clock, 24 hours after the effect")

    objects = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "endpoint", "key_hash"], name="idempotency_record_once")
        ]
        indexes = [models.Index(fields=["expires_at"], name="idempotency_record_by_expiry")]
