"""The cast of the pages, for the back office."""

from tests.messaging.pages.conftest import draft, no_hold, parents, provider
from tests.web.conftest import acme, browser, stranger

__all__ = ["acme", "browser", "draft", "no_hold", "parents", "provider", "stranger"]
