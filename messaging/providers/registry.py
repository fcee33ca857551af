"""Which adapters exist. Adding one is a line here; see README.md in this folder."""

from messaging.providers.africastalking import AfricasTalking
from messaging.providers.base import AnyAdapter, SessionAdapter
from messaging.providers.beem import Beem
from messaging.providers.celcom import Celcom
from messaging.providers.generic import GenericHttp
from messaging.providers.infobip import Infobip
from messaging.providers.native import Native
from messaging.providers.onfon import Onfon
from messaging.providers.smpp.adapter import Smpp
from messaging.providers.smtp.adapter import Smtp
from messaging.providers.twilio import Twilio
from messaging.providers.whatsapp import WhatsApp

_ADAPTERS: dict[str, AnyAdapter] = {
    adapter.name: adapter
    for adapter in (
        AfricasTalking(),
        Beem(),
        Celcom(),
        Onfon(),
        Infobip(),
        Twilio(),
        WhatsApp(),
        Native(),
        GenericHttp(),
        Smpp(),
        Smtp(),
    )
}


def get_adapter(name: str) -> AnyAdapter:
    """The adapter of that name. Raises: LookupError, when a provider account names one this release does not have."""
    try:
        return _ADAPTERS[name]
    except KeyError:
        raise LookupError(f"There is no provider adapter named {name!r}.") from None


def keeps_line(name: str) -> bool:
    """Whether accounts of that adapter have one long-lived connection, held by one process."""
    adapter = _ADAPTERS.get(name)
    return isinstance(adapter, SessionAdapter) and adapter.keeps_line


def all_adapters() -> tuple[AnyAdapter, ...]:
    """Every adapter, in the order shown to operators."""
    return tuple(_ADAPTERS.values())
