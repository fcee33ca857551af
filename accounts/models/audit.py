"""The audit log: who did what to what, from where; written once, and chained so that a changed row shows (S3)."""

from typing import Any, NoReturn

from django.db import models
from django.db.models import Q

from accounts.models.clients import Client
from crm.common.tenancy import TenantManager, TenantQuerySet


class AuditIsFinal(TypeError):
    """Code tried to change or delete an entry of the audit log."""


class AuditRows(TenantQuerySet):
    def update(self, **kwargs: Any) -> NoReturn:
        raise AuditIsFinal("an audit entry is never changed")

    def delete(self) -> NoReturn:
        raise AuditIsFinal("an audit entry is never deleted")


AuditManager = models.Manager.from_queryset(AuditRows, class_name="AuditManager")


class AuditChain(models.Model):
    """The end of one chain of entries: a client's, or the installation's own, whose key is 0.

    sequence: how many entries the chain has; hash: that of the last one. Moved in the transaction that adds the entry.
    """

    id = models.BigIntegerField(primary_key=True, help_text="Client id; 0 for the installation")
    client = models.OneToOneField(Client, null=True, on_delete=models.PROTECT, related_name="+")
    sequence = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True)

    objects = TenantManager()

    def __str__(self) -> str:
        return f"chain {self.pk}: {self.sequence}"


class AuditEntry(models.Model):
    """One act. Never updated or deleted: the model and triggers in the database (accounts/audit_guard.py) refuse.

    client: whose log it is in, None for the installation's. sequence: 1, 2, 3 … within the chain. hash: SHA-256 over
    the hash before it and every column (accounts/services/audit.py), so that an edited or missing row shows.
    actor_kind: user, key or system; actor_name: how it was called then. before, after: facts, never secrets or texts.
    """

    KINDS = [("user", "Person"), ("key", "API key"), ("system", "System")]

    chain = models.ForeignKey(AuditChain, on_delete=models.PROTECT, related_name="+", db_index=False)
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    sequence = models.BigIntegerField()
    at = models.DateTimeField(help_text="UTC, by the database's clock, to the millisecond")
    actor_kind = models.CharField(max_length=6, choices=KINDS)
    actor_id = models.BigIntegerField(null=True, help_text="Of the person or the API key")
    actor_name = models.CharField(max_length=254)
    address = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=60, help_text="noun.verb, such as key.created")
    target = models.CharField(max_length=200, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    hash = models.CharField(max_length=64)

    objects = AuditManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "audit entries"
        constraints = [
            models.UniqueConstraint(fields=["chain", "sequence"], name="audit_entry_once"),
            models.CheckConstraint(
                condition=Q(client=None, chain=0) | Q(client=models.F("chain")), name="audit_entry_in_its_chain"
            ),
        ]
        indexes = [
            models.Index(fields=["client", "-id"], name="audit_entry_newest"),
            models.Index(fields=["client", "action", "-id"], name="audit_entry_by_action"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AuditIsFinal("an audit entry is never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AuditIsFinal("an audit entry is never deleted")
