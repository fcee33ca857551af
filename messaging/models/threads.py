"""The inbox: who talks with which of our numbers, what colleagues note about it, and words kept for answering."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm.common.channels import Channel
from crm.common.tenancy import TenantManager
from messaging.models.templates import TemplateLanguage


class Thread(models.Model):
    """A person and one of a client's numbers, from their first message on; a summary, kept with each message.

    `person` is E.164; `own` our number as `messaging.conversations.own_number` spells it; `sender` the sender ID that
    answers go from, "" for the channel's default. `last_*` is the last thing said: by the person, or answered from the
    inbox; campaigns are shown in a thread and do not move it. `unread`: messages of the person since anybody looked.
    `replying_by` writes an answer at `replying_at`.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    channel = models.CharField(max_length=10, choices=Channel)
    person = models.CharField(max_length=254)
    own = models.CharField(max_length=254)
    sender = models.CharField(max_length=254, blank=True)
    name = models.CharField(max_length=120, blank=True, help_text="What the person calls itself")
    last_at = models.DateTimeField()
    last_text = models.CharField(max_length=160, blank=True)
    last_is_ours = models.BooleanField(default=False)
    last_inbound_at = models.DateTimeField()
    unread = models.PositiveIntegerField(default=0)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    replying_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    replying_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-last_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["client", "channel", "person", "own"], name="thread_once"),
        ]
        indexes = [
            models.Index(fields=["client", "-last_at", "-id"], name="thread_by_client"),
            models.Index(fields=["client", "-last_at", "-id"], condition=Q(unread__gt=0), name="thread_unread"),
            models.Index(fields=["client", "channel", "-last_at", "-id"], name="thread_by_channel"),
            models.Index(fields=["client", "assigned_to", "-last_at", "-id"], name="thread_by_colleague"),
            models.Index(fields=["client", "person"], name="thread_by_person"),
            models.Index(fields=["assigned_to"], condition=Q(assigned_to__isnull=False), name="thread_assigned"),
            models.Index(fields=["replying_by"], condition=Q(replying_by__isnull=False), name="thread_replying"),
        ]

    def __str__(self) -> str:
        return f"{self.person} with {self.own}"


class ThreadEventKind(models.TextChoices):
    NOTE = "note"
    ASSIGNED = "assigned"
    REPLIED = "replied"
    ANSWERED = "answered", "Answered by itself"


class ThreadEvent(models.Model):
    """What colleagues did in a thread; the person sees none of it.

    note: `text`. assigned: `text` is the colleague's name, "" for nobody. replied: `message_id`, written by `by`.
    answered: `message_id` went by itself to STOP, START or HELP.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, related_name="events", db_index=False)
    kind = models.CharField(max_length=8, choices=ThreadEventKind)
    text = models.CharField(max_length=2000, blank=True)
    message_id = models.BigIntegerField(null=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["thread", "-id"], name="thread_event_by_thread"),
            models.Index(fields=["client", "-id"], name="thread_event_by_client"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} in {self.thread_id}"


class SavedReply(models.Model):
    """Words to answer with again, inserted by `/` and the name. The name is unique within a client."""

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=40)
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "saved replies"
        constraints = [models.UniqueConstraint(fields=["client", "name"], name="saved_reply_name_once")]

    def __str__(self) -> str:
        return self.name


class ReplyWord(models.TextChoices):
    STOP = "stop", _("STOP")
    START = "start", _("START")
    HELP = "help", _("HELP")


class AutoReply(models.Model):
    """What a person gets who writes STOP, START or HELP in a language; no row: nothing."""

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    word = models.CharField(max_length=5, choices=ReplyWord)
    language = models.CharField(max_length=2, choices=TemplateLanguage)
    text = models.TextField()

    objects = TenantManager()

    class Meta:
        ordering = ["word", "language"]
        verbose_name_plural = "auto replies"
        constraints = [models.UniqueConstraint(fields=["client", "word", "language"], name="auto_reply_once")]

    def __str__(self) -> str:
        return f"{self.word} in {self.language}"


class InboundNumber(models.Model):
    """Whose a number of ours is: the client's that has it whole (`keyword` ""), or that has a keyword on it.

    `number` is spelt as `messaging.conversations.own_number` does, `keyword` in lower case: the first word that a
    person writes. One with a keyword beside others is shared: what has no keyword goes to who talked last.
    """

    channel = models.CharField(max_length=10, choices=Channel, default=Channel.SMS)
    number = models.CharField(max_length=40, help_text="A short code, or a number with its country code")
    keyword = models.CharField(max_length=30, blank=True, help_text="Empty: all that no keyword takes")
    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["number", "keyword"]
        constraints = [
            models.UniqueConstraint(fields=["channel", "number", "keyword"], name="inbound_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.keyword}".strip()
