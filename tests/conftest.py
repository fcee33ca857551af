"""What every test gets: a closed network (tests/network_guard.py) and an empty cache. Factories are imported."""

import os
from collections.abc import Iterator
from unittest import TestCase

import pytest
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.core.cache import cache
from django.dispatch import receiver
from django.test.utils import setup_databases, teardown_databases
from hypothesis import settings as hypothesis_settings
from pytest_django.fixtures import _disable_migrations

from crm.common import linger
from tests import flush, network_guard, schema

network_guard.close_network()
flush.allow_flush()
# pytest --hypothesis-profile=nightly: the state machines for as long as a night allows
hypothesis_settings.register_profile("nightly", max_examples=2000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "leave out what may not touch the database: it is the same on any, and make test has run it"
    parser.addoption("--with-database", action="store_true", help=words)


def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: a third of the time tests wait, for servers and for moments to pass."""
    cores = os.cpu_count() or 1
    return cores + cores // 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests marked long run only where they are asked for: make test-long."""
    asked = [item for item in items if "LONG_TESTS" in os.environ or not item.get_closest_marker("long")]
    if config.getoption("--with-database"):
        asked = [item for item in asked if _may_touch_database(item)]
    config.hook.pytest_deselected(items=list(set(items) - set(asked)))
    items[:] = asked


def _may_touch_database(item: pytest.Item) -> bool:
    """pytest-django refuses it to whoever did not ask. Tests of whole installations start those on SQLite."""
    asks = {"db", "transactional_db", "live_server"} & set(getattr(item, "fixturenames", ()))
    is_case = issubclass(getattr(item, "cls", None) or object, TestCase)
    return bool(asks) or is_case or item.get_closest_marker("django_db") is not None


@pytest.fixture(scope="session")
def django_db_setup(
    request, django_test_environment, django_db_blocker, django_db_use_migrations, django_db_keepdb, django_db_createdb,
    django_db_modify_db_settings,
) -> Iterator[None]:  # fmt: skip
    """pytest-django's own, but that the migrations run once and are copied from then on (tests/schema.py)."""
    if not django_db_use_migrations:
        _disable_migrations()
    keep = django_db_keepdb and not django_db_createdb
    with django_db_blocker.unblock():
        if keep or not django_db_use_migrations:
            made = setup_databases(verbosity=0, interactive=False, keepdb=keep)
        else:
            with schema.prepared() as is_there:
                made = setup_databases(verbosity=0, interactive=False, keepdb=is_there)
    yield
    if not django_db_keepdb:
        with django_db_blocker.unblock():
            teardown_databases(made, verbosity=0)


@pytest.fixture(autouse=True)
def _closed_network() -> Iterator[None]:
    """Fails a test whose code reached out, even where that code survived the refusal."""
    network_guard.breaches.clear()
    yield
    found, network_guard.breaches[:] = list(network_guard.breaches), []
    assert not found, f"the code under test opened {'; '.join(found)}"


@pytest.fixture(autouse=True)
def _empty_cache(request: pytest.FixtureRequest, _django_db_marker: None) -> None:
    """Throttles and heartbeats of one test must not reach the next. Only for tests that may touch the database."""
    asked = {"db", "transactional_db", "live_server"} & set(request.fixturenames)
    if not asked and not request.node.get_closest_marker("django_db"):
        return
    for name in asked:
        request.getfixturevalue(name)
    if settings.CACHE_URL:  # clear() would empty a whole Redis, other runs' keys included
        server = cache._cache.get_client(None, write=True)  # type: ignore[attr-defined]
        if keys := list(server.scan_iter(match=f"{cache.key_prefix}:*")):
            server.delete(*keys)
    else:
        cache.clear()


@receiver(user_logged_in)
def _as_by_password(request, user, **_) -> None:
    """`force_login` stands for signing in by password, which guarded pages want to have seen lately."""
    from allauth.account.internal.flows.login import record_authentication  # models exist only now

    record_authentication(request, user, method="password")


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    """A wake-up sent by one test does not silence the next test's."""
    linger.forget()
