from django.apps import AppConfig


class CrmConfig(AppConfig):
    """The composition root: home page, page frame, supervisor. It has no models."""

    name = "crm"

    def ready(self) -> None:
        from crm.celery import app

        app.set_default()
        from accounts.services.audit import check_chains  # models exist only now
        from wallet.reconciliation import Check, Difference, register

        register(Check("audit log", lambda: [Difference(found.text, found.client_id) for found in check_chains()]))
