"""Every route under /api/{client_id}/, taken from the URL map, so that a new one is tested without a new test (T1)."""

import re

import pytest
from django.test import Client as Browser
from django.urls import get_resolver

from accounts.scopes import SCOPES
from tests.api.caller import refusal
from tests.factories import make_key

pytestmark = pytest.mark.django_db

PREFIX = "api/<int:client_id>/"


def walk(resolver, prefix=""):
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if hasattr(entry, "url_patterns"):
            yield from walk(entry, route)
        elif route.startswith(PREFIX):
            yield route, entry.callback


ROUTES = dict(walk(get_resolver("crm.urls")))


def url_of(route, client_id):
    """A concrete path: every converter gets 1, which all of them accept."""
    return "/" + re.sub(r"<[^>]+>", "1", route.replace("<int:client_id>", str(client_id), 1))


def methods_of(view):
    return [method for method in ("get", "post", "put", "patch", "delete") if hasattr(view.cls, method)]


def test_the_walk_finds_the_routes_of_this_release():
    expected = {"messages/send", "sms/send", "sms/status/<str:message_id>", "sms/history", "client/balance"}
    assert {PREFIX + route for route in expected} <= set(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
def test_T1_every_route_refuses_no_key_a_wrong_key_and_another_clients(acme, stranger, route):
    browser = Browser()
    for method in methods_of(ROUTES[route]):
        call = getattr(browser, method)
        refusal(call(url_of(route, acme.client.pk)), 401, "INVALID_API_KEY")
        refusal(call(url_of(route, acme.client.pk), headers={"X-API-KEY": "x"}), 401, "INVALID_API_KEY")
        refusal(call(url_of(route, acme.client.pk), headers={"X-API-KEY": stranger.key}), 403, "UNAUTHORIZED")
        refusal(call(url_of(route, 999_999), headers={"X-API-KEY": acme.key}), 403, "UNAUTHORIZED")


@pytest.mark.parametrize("route", ROUTES)
def test_T3_every_route_names_a_scope_and_refuses_keys_without_it(acme, route):
    view = ROUTES[route].cls
    assert view.required_scope in SCOPES
    lacking = make_key(acme.client, scopes=[scope for scope in SCOPES if scope != view.required_scope])
    for method in methods_of(ROUTES[route]):
        answer = getattr(Browser(), method)(url_of(route, acme.client.pk), headers={"X-API-KEY": lacking.api_key})
        refusal(answer, 403, "UNAUTHORIZED")


@pytest.mark.parametrize("route", ROUTES)
def test_U1_every_route_answers_a_wrong_method_with_the_documented_body(acme, route):
    allowed = methods_of(ROUTES[route])
    for method in {"get", "post", "put", "patch", "delete", "options"} - set(allowed):
        answer = getattr(Browser(), method)(url_of(route, acme.client.pk), headers={"X-API-KEY": acme.key})
        refusal(answer, 405, "METHOD_NOT_ALLOWED")
        assert set(answer["Allow"].lower().split(", ")) - {"head"} == set(allowed)
