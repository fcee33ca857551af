"""The acts of the audit log in words, for the page and the export."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

ACTS: dict[str, Promise] = {
    "person.signed_in": _("Signed in"),
    "person.signed_out": _("Signed out"),
    "person.sign_in_refused": _("Sign-in refused"),
    "key.created": _("API key created"),
    "key.revoked": _("API key revoked"),
    "webhook.created": _("Webhook added"),
    "webhook.changed": _("Webhook changed"),
    "webhook.paused": _("Webhook paused"),
    "webhook.resumed": _("Webhook resumed"),
    "webhook.deleted": _("Webhook deleted"),
    "webhook.secret_rotated": _("Webhook secret renewed"),
    "client.opened": _("Organisation opened"),
    "client.suspended": _("Organisation suspended"),
    "client.resumed": _("Organisation resumed"),
    "client.retention_changed": _("Retention changed"),
    "client.closing": _("Closure asked for"),
    "client.closing_withdrawn": _("Closure taken back"),
    "client.closed": _("Organisation closed, personal data erased"),
    "client.export_made": _("Export of everything asked for"),
    "wallet.adjusted": _("Balance adjusted"),
    "wallet.plan_changed": _("Price plan changed"),
    "sender.approved": _("Sender ID approved"),
    "sender.rejected": _("Sender ID rejected"),
    "template.submitted": _("WhatsApp template handed in"),
    "template.removed": _("WhatsApp template taken away"),
    "campaign.confirmed": _("Campaign started"),
    "campaign.paused": _("Campaign paused"),
    "campaign.resumed": _("Campaign resumed"),
    "campaign.cancelled": _("Campaign cancelled"),
    "campaign.withdrawn": _("Campaign taken back before it began"),
    "import.started": _("Import started"),
    "import.undone": _("Import undone"),
    "import.released": _("Held import released"),
    "import.refused": _("Held import refused"),
    "opt_out.removed": _("Opt-out removed"),
    "export.made": _("Export made"),
    "export.fetched": _("Export downloaded"),
    "privacy.export_asked": _("One person's data asked for"),
    "privacy.erasure_asked": _("Erasure of one person asked for"),
    "privacy.erased": _("One person's data erased"),
    "privacy.lifted": _("Erasure lifted"),
    "privacy.consent_changed": _("Consent changed"),
    "secrets.rotated": _("Secrets encrypted anew"),
    "staff.added": _("Added by our staff"),
    "staff.changed": _("Changed by our staff"),
    "staff.deleted": _("Deleted by our staff"),
}


def words_of(action: str) -> str:
    """The act in words; one without words as it is written, `role.changed` as "Role changed"."""
    return str(ACTS.get(action) or action.replace(".", " ").replace("_", " ").capitalize())
