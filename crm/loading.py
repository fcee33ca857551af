"""All code of an installation, loaded once by a process that forks those which use it.

Nothing that lives on in a thread or a connection may be begun here: those who are forked begin it, the web server's
processes by crm.wsgi, workers by crm.worker.
"""

import gc
import os
from importlib import import_module

from crm import forking


def is_shared() -> bool:
    """Whether what this process loads can serve those it forks."""
    return forking.is_possible() and not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")  # traces have a thread at once


def load(*, workers: bool) -> None:
    """Django, models, views and what their first use would load; with `workers` also what those need."""
    gc.disable()  # most of what is loaded stays: looking for what does not takes a third of the time
    for name in ("granian.cli", "crm.application"):  # the second brings models and middleware
        import_module(name)
    from crm.common.garbage import keep_what_is_loaded

    _use_once()
    if workers:
        import_module("crm.worker").load()
    gc.enable()
    keep_what_is_loaded()  # no child's collector then touches these pages, which would make them its own


def _use_once() -> None:
    """What its first use would load into each process: views, addresses, words, what sends to broker and cache."""
    from celery import current_app
    from django.conf import settings
    from django.core.cache import caches
    from django.urls import reverse
    from django.utils import translation

    for language in {settings.LANGUAGE_CODE, "en"}:  # programs are answered in English
        with translation.override(language):
            reverse("home")
    assert current_app.connection_for_write().get_transport_cls()
    assert current_app.amqp.router
    assert current_app.backend
    assert caches["default"]
