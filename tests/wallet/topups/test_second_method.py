"""A second operator of mobile money is one file and a line in the registry: nothing else asks for M-Pesa by name."""

import pytest

from wallet.admin.topups import PaymentAccountForm
from wallet.models import PaymentAccount
from wallet.payments import registry
from wallet.payments.base import AccountField
from wallet.payments.mpesa import Mpesa
from wallet.topups.accounts import current_account, open_method

pytestmark = pytest.mark.django_db


class Pesaru(Mpesa):
    """Somebody else's money, with values of its own."""

    name = "pesaru"
    label = "Pesaru"
    default_base_url = "https://pesaru.test"
    fields = (AccountField("shortcode", "Merchant"), AccountField("pin", "PIN", secret=True))


@pytest.fixture(autouse=True)
def second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.METHODS, "pesaru", Pesaru)


def form(**values: str) -> PaymentAccountForm:
    return PaymentAccountForm(
        {"name": "Second", "method": "pesaru", "is_active": "on", "confirm_by_query": "on", **values}
    )


def test_the_back_office_asks_for_what_the_chosen_one_needs():
    assert form(value_shortcode="77").errors == {"value_pin": ["Pesaru needs this."]}
    given = form(value_shortcode="77", value_pin="1234", value_passkey="of the other")
    assert given.is_valid(), given.errors
    account = given.save()
    assert account.credentials == {"shortcode": "77", "pin": "1234"}


def test_an_account_is_spoken_to_by_its_own_adapter_and_address(settings):
    PaymentAccount.objects.create(name="Second", method="pesaru", credentials={"shortcode": "77", "pin": "1234"})
    opened = open_method(current_account("pesaru"))
    assert (type(opened), opened.base_url) == (Pesaru, "https://pesaru.test")
    settings.PESARU_BASE_URL = "http://127.0.0.1:1"
    assert open_method(current_account("pesaru")).base_url == "http://127.0.0.1:1"
