"""Why a message or campaign is refused. Doors map the codes to their own words and statuses."""

from django.utils.translation import gettext_lazy as _

from crm.common.errors import DomainError, WrongState


class SenderNotApproved(DomainError):
    code = "sender_not_approved"
    default_message = _("This sender ID is not approved for your account.")


class NoSender(DomainError):
    code = "sender_missing"
    default_message = _("Give a sender ID: your account has no default one.")


class TextTooLong(DomainError):
    code = "text_too_long"
    default_message = _("The text is too long.")


class NoRoute(DomainError):
    code = "no_route"
    default_message = _("No provider is set up for this destination yet. Ask the operator of this service.")


class ChannelNotAvailable(DomainError):
    code = "channel_not_available"
    default_message = _("This channel is not available on this installation.")


class ClientSuspended(DomainError):
    code = "client_suspended"
    default_message = _("This account is suspended and cannot send.")


class InvalidSchedule(DomainError):
    code = "invalid_schedule"
    default_message = _("The time to send must lie in the future and within one year.")


class NoRecipients(DomainError):
    code = "no_recipients"
    default_message = _("There is nobody to send to.")


class EditedMeanwhile(WrongState):
    """Somebody saved a newer version of a draft; nothing was overwritten. Fact: campaign, as it is now."""

    default_message = _("Somebody changed this campaign meanwhile. Nothing was overwritten.")


class OwnCampaign(WrongState):
    default_message = _("Somebody else must approve it: you wrote it or asked for the approval.")


class QuoteChanged(WrongState):
    """What was confirmed is no longer what would be sent; the person must see the new figures first."""

    code = "quote_changed"
    default_message = _(
        "The recipients or the price changed since you looked. Check the new figures and confirm again."
    )


class StillCounting(DomainError):
    """What a draft to many people comes to is not known yet. Fact: retry_after, seconds."""

    code = "still_counting"
    default_message = _("The recipients are still being counted. Ask again in a moment.")


class RecipientLimit(DomainError):
    """Fact: retry_after, the seconds after which it is surely allowed again."""

    code = "recipient_limit"
    default_message = _("This number got as many messages from you as it may in so short a time.")


class CountryClosed(DomainError):
    """Fact: country."""

    code = "country_closed"
    default_message = _("Your account is not opened for this country. Ask your account manager.")


class TrialNumber(DomainError):
    code = "trial_number"
    default_message = _("A trial account sends to the numbers of its own people only.")


class DailyLimit(DomainError):
    """The whole call would exceed what the client may send in a day. Fact: retry_after, seconds until its midnight."""

    code = "daily_limit"
    default_message = _("This is more than your account may send in a day.")


class WindowClosed(DomainError):
    """WhatsApp takes free text within 24 hours of the person's last message, and templates at any time."""

    code = "window_closed"
    default_message = _("The person wrote more than 24 hours ago: WhatsApp now takes a template only.")


class TemplateNotTaken(WrongState):
    """WhatsApp refused what was asked for a template; the sentence is WhatsApp's own."""

    default_message = _("WhatsApp did not take this.")


class TemplateUnclear(WrongState):
    """No clear answer came to a template that was handed in: it is asked after by and by."""

    default_message = _("WhatsApp gave no clear answer. It is asked again within minutes.")
