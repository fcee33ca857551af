"""Which adapters exist. Adding one is a line here; see README.md in this folder."""

from messaging.providers.africastalking import AfricasTalking
from messaging.providers.base import AnyAdapter
from messaging.providers.beem import Beem
from messaging.providers.celcom import Celcom
from messaging.providers.generic import GenericHttp
from messaging.providers.infobip import Infobip
from messaging.providers.native import Native
from messaging.providers.onfon import Onfon
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
    )
}


def get_adapter(name: str) -> AnyAdapter:
    """The adapter of that name. Raises: LookupError, when a provider account names one this release does not have."""
    try:
        return _ADAPTERS[name]
    except KeyError:
        raise LookupError(f"There is no provider adapter named {name!r}.") from None


def all_adapters() -> tuple[AnyAdapter, ...]:
    """Every adapter, in the order shown to operators."""
    return tuple(_ADAPTERS.values())
