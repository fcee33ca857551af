"""What members can be told of: every kind of notice, who hears of it unless they choose otherwise, and who may."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Role

MONEY = (Role.OWNER, Role.FINANCE)
PROGRAMS = (Role.OWNER, Role.DEVELOPER)
SENDERS = (Role.OWNER, Role.ADMIN, Role.SENDER)
APPROVERS = (Role.OWNER, Role.ADMIN, Role.APPROVER)


@dataclass(frozen=True, slots=True)
class NoticeKind:
    """One row of the grid. permission: of accounts/roles.py, without it nobody is told; roles: who gets the email
    without having chosen. The words are the template notices/<name, dots as underscores>.txt: its first line is the
    subject and, with the brand before it, the SMS.
    """

    name: str
    group: str | Promise
    label: str | Promise
    permission: str
    roles: tuple[Role, ...]

    @property
    def template(self) -> str:
        return f"notices/{self.name.replace('.', '_')}.txt"


_WALLET, _CAMPAIGNS, _PROGRAMS = _("Wallet"), pgettext_lazy("notices", "Sending"), _("API & Webhooks")
KINDS = (
    NoticeKind("balance.low", _WALLET, _("The balance is low, once a day at most"), "wallet.read", MONEY),
    NoticeKind("topup.paid", _WALLET, _("A top-up was paid"), "wallet.read", MONEY),
    NoticeKind("topup.late", _WALLET, _("A payment shown as failed has arrived after all"), "wallet.read", MONEY),
    NoticeKind("topup.failed", _WALLET, _("A top-up failed"), "wallet.read", ()),
    NoticeKind("payment.matched", _WALLET, _("A payment that was being looked for was found"), "wallet.read", MONEY),
    NoticeKind("campaign.finished", _CAMPAIGNS, _("A campaign has finished"), "campaigns.read", SENDERS),
    NoticeKind("campaign.paused", _CAMPAIGNS, _("A campaign was paused"), "campaigns.read", SENDERS),
    NoticeKind("campaign.approval", _CAMPAIGNS, _("A campaign waits for approval"), "campaigns.send", APPROVERS),
    NoticeKind("sender.approved", _CAMPAIGNS, _("A sender ID was approved"), "campaigns.read", SENDERS),
    NoticeKind("sender.rejected", _CAMPAIGNS, _("A sender ID was rejected"), "campaigns.read", SENDERS),
    NoticeKind("template.stopped", _CAMPAIGNS, _("WhatsApp stopped a template"), "campaigns.read", SENDERS),
    NoticeKind("template.category", _CAMPAIGNS, _("WhatsApp changed a template’s category"), "campaigns.read", SENDERS),
    NoticeKind("webhook.failing", _PROGRAMS, _("A webhook has been failing for a day"), "keys.read", PROGRAMS),
    NoticeKind("webhook.paused", _PROGRAMS, _("A webhook was paused"), "keys.read", PROGRAMS),
)
NOTICES = {kind.name: kind for kind in KINDS}
TEST = "test"  # of the button on the settings page; in no grid
