"""Acme, which tops up at the sandbox's M-Pesa; its callbacks reach a real server with real commits."""

import pytest

from tests.sandbox_process import sandbox, sandbox_process  # noqa: F401
from tests.wallet.topups.world import World, make_account
from wallet.services import open_wallet


@pytest.fixture
def world(transactional_db, live_server, settings, sandbox) -> World:  # noqa: F811
    settings.PUBLIC_URL = live_server.url
    account = make_account(base_url=sandbox.base_url)
    made = World(sandbox=sandbox, account=account)
    open_wallet(client=made.acme)
    return made


@pytest.fixture
def account(db):
    """An account nobody is asked at: for what needs no network."""
    return make_account(base_url="http://127.0.0.1:9")
