"""Plain functions that make what tests need, by the services the product itself uses."""

from collections.abc import Iterable
from typing import Any

from accounts.models import Client
from accounts.scopes import SCOPES
from accounts.services.clients import open_client
from accounts.services.keys import IssuedKey, create_api_key

PASSWORD = "kikombe cha chai 7"


def make_client(name: str = "Acme", email: str = "amina@acme.test", **fields: Any) -> Client:
    """A client whose owner signs in as `email` with PASSWORD; Amina owns Acme."""
    return open_client(name=name, email=email, password=PASSWORD, **fields)


def make_key(client: Client, scopes: Iterable[str] = SCOPES, **fields: Any) -> IssuedKey:
    return create_api_key(client=client, name="Shop", scopes=scopes, **fields)
