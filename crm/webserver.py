"""The web server: granian, whose processes share what one of them would need for itself.

    python -m crm.webserver --interface wsgi … crm.wsgi:application

Django, the models and every view are loaded here, before granian forks its workers, so that they take this memory once
instead of once each. Nothing that lives on in a thread or a connection may be begun here: crm.wsgi, which begins such
things, is loaded by each worker.
"""

import gc
import multiprocessing
import os


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    if multiprocessing.get_start_method() == "fork" and not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        _load()  # traces are sent by a thread from the very beginning
    from granian.cli import entrypoint

    entrypoint()


def _load() -> None:
    gc.disable()  # most of what is loaded stays: looking for what does not takes a third of the time
    import crm.application  # noqa: F401 - loads models and middleware
    from crm.common.garbage import keep_what_is_loaded

    _use_once()
    gc.enable()
    keep_what_is_loaded()  # no worker's collector then touches these pages, which would make them its own


def _use_once() -> None:
    """What its first use would load into each worker: views, addresses, words, what sends to broker and cache."""
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


if __name__ == "__main__":
    main()
