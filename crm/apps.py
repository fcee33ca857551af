from contextlib import suppress

from django.apps import AppConfig


class CrmConfig(AppConfig):
    """The composition root: home page, page frame, processes. Its one table is what those agree on."""

    name = "crm"

    def ready(self) -> None:
        from crm.celery import app

        app.set_default()
        from accounts.services.audit import check_chains  # models exist only now
        from crm import checks  # noqa: F401 - registers them
        from crm.common import sessions  # noqa: F401 - connects its receiver
        from wallet.reconciliation import Check, Difference, register

        register(Check("audit log", lambda: [Difference(found.text, found.client_id) for found in check_chains()]))
        _trace_if_wanted()


def _trace_if_wanted() -> None:
    from django.conf import settings

    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return
    from crm import __version__
    from crm.common import tracing
    from crm.watching import traces

    # Without the packages the settings' check says so (crm/checks.py), and the processes refuse to start.
    with suppress(tracing.Missing):
        tracing.start(version=__version__)
        traces.watch_tasks()
