"""What a single send costs the database, and that nothing it reads so cheaply is kept from call to call (T4, M7)."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiKey, Client
from accounts.services.clients import resume_client, suspend_client
from accounts.services.keys import revoke_api_key
from crm.common.sql import on_postgres
from messaging.models import Route, SenderId, SendingRules
from messaging.services.senders import approve_sender_id, reject_sender_id
from wallet.models import PricePlan, Rate

pytestmark = pytest.mark.django_db


def test_a_single_send_takes_few_statements(acme, settings):
    acme.send()  # notes the use of the key, at most once a minute
    with CaptureQueriesContext(connection) as captured:
        assert acme.send(recipient="0712345999").status_code == 200
    made = [query["sql"] for query in captured if "SAVEPOINT" not in query["sql"] and "PRAGMA" not in query["sql"]]
    counted = 0 if settings.CACHE_URL else 1  # the call, where no Redis counts it
    # PostgreSQL writes the message with its timeline and figures at once, and moves the wallet with its entry; whether
    # calls at the same time went over a limit together is one more look.
    assert len(made) == (6 if on_postgres() else 9) + counted, made


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not on_postgres(), reason="SQLite waits for the disk within the commit")
def test_D1_the_disk_is_waited_for_before_the_answer_and_after_the_wallet_is_free(acme):
    made = []

    def note(execute, sql, params, many, context):
        made.append((sql, connection.in_atomic_block))
        return execute(sql, params, many, context)

    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO on")  # as it is outside tests
    with connection.execute_wrapper(note):
        assert acme.send(recipient="0712345999").status_code == 200
    late = next(place for place, (sql, _) in enumerate(made) if "'synchronous_commit', 'off', true" in sql)
    moved = next(place for place, (sql, _) in enumerate(made) if "UPDATE wallet_wallet" in sql)
    waits = [place for place, (sql, inside) in enumerate(made) if "pg_logical_emit_message" in sql and not inside]
    assert made[late][1]  # in the transaction, so for it alone
    assert made[moved][1]
    assert len(waits) == 1
    assert late < moved < waits[0]
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("on",)


def test_reads_of_settings_do_not_grow_with_them(acme):
    acme.send()
    with CaptureQueriesContext(connection) as few:
        acme.send(recipient="0712345901")
    plan = PricePlan.objects.get(wallets__client_id=acme.client.pk)
    for country in ("TZ", "UG", "RW", "BI"):
        Rate.objects.create(plan=plan, channel="sms", country=country, unit_price_micros=5)
        approve_sender_id(client=Client.objects.get(pk=acme.client.pk), name=f"ACME{country}")
        Route.objects.create(channel="sms", country=country, account_id=Route.objects.first().account_id)
    with CaptureQueriesContext(connection) as many:
        acme.send(recipient="0712345902")
    assert len(many) == len(few)


def test_what_is_changed_between_two_sends_holds_for_the_second(acme):
    client = Client.objects.get(pk=acme.client.pk)
    assert acme.send().json()["cost"] == 1
    plan = PricePlan.objects.get(wallets__client_id=client.pk)
    Rate.objects.filter(plan=plan, channel="sms").update(unit_price_micros=250_000)
    assert acme.send().json()["cost"] == 0.25
    Rate.objects.create(plan=plan, channel="sms", country="KE", unit_price_micros=500_000, valid_from=timezone.now())
    Rate.objects.create(
        plan=plan, channel="sms", country="KE", unit_price_micros=9, valid_from=datetime(2099, 1, 1, tzinfo=UTC)
    )
    assert acme.send().json()["cost"] == 0.5
    reject_sender_id(sender=SenderId.objects.for_client(client).get(name="HOSPITAL"))
    assert acme.send(sender="HOSPITAL").status_code == 400
    SendingRules.objects.create(client=client, countries=["TZ"])
    assert acme.send(recipient="+256772345678", sender="Taarifa-SMS").status_code == 400
    SendingRules.objects.for_client(client).update(countries=["TZ", "UG"])
    assert acme.send(recipient="+256772345678", sender="Taarifa-SMS").status_code == 200
    Route.objects.update(country="TZ")
    assert acme.send(sender="Taarifa-SMS").status_code == 400
    Route.objects.update(country="")
    suspend_client(client=client, reason="late")
    assert acme.send(sender="Taarifa-SMS").status_code == 403
    resume_client(client=client)
    assert acme.send(sender="Taarifa-SMS").status_code == 200
    revoke_api_key(key=ApiKey.objects.for_client(client).get())
    assert acme.send(sender="Taarifa-SMS").status_code == 401
