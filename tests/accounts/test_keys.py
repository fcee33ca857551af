"""API keys (GUARANTEES.md T4): random, shown once, kept as digests, ended at once."""

import hashlib
import json
import re
from datetime import timedelta

import pytest
from django.core import serializers
from django.utils import timezone

from accounts import queries
from accounts.models import ApiKey
from accounts.services.keys import create_api_key, note_use, revoke_api_key
from crm.common.errors import InvalidInput
from tests.factories import make_client, make_key

pytestmark = pytest.mark.django_db


def test_T4_three_long_random_values_are_kept_as_digests_alone():
    issued = make_key(make_client())
    assert re.fullmatch(r"tk_live_[0-9a-f]{8}_[0-9A-Za-z]{32}", issued.api_key)
    assert re.fullmatch(r"ts_live_[0-9A-Za-z]{32}", issued.api_secret)
    assert re.fullmatch(r"ta_live_[0-9A-Za-z]{32}", issued.app_key)
    assert issued.api_key.startswith(issued.key.prefix + "_")
    stored = serializers.serialize("json", ApiKey.objects.unscoped())
    for value in (issued.api_key, issued.api_secret, issued.app_key):
        assert value not in stored
        assert value.rsplit("_", 1)[1] not in stored
        assert value not in repr(issued)
        assert hashlib.sha256(value.encode()).hexdigest() in stored


def test_T4_a_key_is_found_by_its_whole_value_only():
    client = make_client()
    issued, other = make_key(client), make_key(client)
    assert queries.find_key(issued.api_key) == issued.key
    assert queries.find_key(other.api_key) == other.key
    for wrong in ("", issued.key.prefix, issued.api_key[:-1], issued.api_key + "x", issued.api_key.upper(),
                  issued.api_secret, issued.app_key, issued.key.key_hash, "\ud800", "\x00"):  # fmt: skip
        assert queries.find_key(wrong) is None


def test_looking_a_key_up_is_one_query(django_assert_num_queries):
    issued = make_key(make_client())
    with django_assert_num_queries(1):
        assert queries.find_key(issued.api_key).client.name == "Acme"


def test_T4_revoking_ends_one_key_at_once_and_only_once():
    client = make_client()
    issued, other = make_key(client), make_key(client)
    assert revoke_api_key(key=issued.key) is True
    first_end = issued.key.revoked_at
    assert first_end is not None
    assert revoke_api_key(key=issued.key) is False
    assert issued.key.revoked_at == first_end
    assert queries.find_key(issued.api_key) is None
    assert queries.find_key(other.api_key) == other.key


def test_an_expired_key_is_not_found():
    issued = make_key(make_client(), expires_at=timezone.now() + timedelta(hours=1))
    assert queries.find_key(issued.api_key) == issued.key
    ApiKey.objects.unscoped().update(expires_at=timezone.now() - timedelta(seconds=1))
    assert queries.find_key(issued.api_key) is None


def test_networks_are_kept_in_one_spelling():
    issued = make_key(make_client(), allowed_addresses=["10.0.0.7/8", " 192.0.2.1 ", "2001:DB8::1", "", "10.0.0.0/8"])
    assert issued.key.allowed_addresses == ["10.0.0.0/8", "192.0.2.1", "2001:db8::1"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["messages:send", "everything"]}, "scopes"),
        ({"allowed_addresses": ["10.0.0.1", "10.0.0.300"]}, "allowed_addresses"),
        ({"allowed_addresses": [f"10.0.0.{n}" for n in range(51)]}, "allowed_addresses"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expires_at"),
    ],
)
def test_a_wrong_request_issues_nothing(change, field):
    client = make_client()
    with pytest.raises(InvalidInput) as refusal:
        create_api_key(**{"client": client, "name": "Shop", "scopes": ["messages:send"]} | change)
    assert list(refusal.value.errors) == [field]
    assert not ApiKey.objects.for_client(client).exists()


def test_use_is_noted_once_a_minute(django_assert_num_queries):
    key = make_key(make_client()).key
    note_use(key=key)
    key = ApiKey.objects.unscoped().get()
    assert (timezone.now() - key.last_used_at).total_seconds() < 5
    with django_assert_num_queries(0):
        note_use(key=key)
    ApiKey.objects.unscoped().update(last_used_at=timezone.now() - timedelta(seconds=61))
    key = ApiKey.objects.unscoped().get()
    with django_assert_num_queries(1):
        note_use(key=key)


def test_keys_of_others_are_not_listed():
    acme, stranger = make_client(), make_client("Zuri Traders", "zuri@traders.test")
    mine, revoked, _ = make_key(acme), make_key(acme), make_key(stranger)
    revoke_api_key(key=revoked.key)
    assert list(queries.keys_for(acme)) == [revoked.key, mine.key]
    assert json.dumps([key.scopes for key in queries.keys_for(acme)])
