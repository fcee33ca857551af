from django.apps import AppConfig


class CrmConfig(AppConfig):
    """The composition root: home page, page frame, processes. Its one table is what those agree on."""

    name = "crm"

    def ready(self) -> None:
        from crm.celery import app

        app.set_default()
        from accounts.services.audit import check_chains  # models exist only now
        from crm import checks  # noqa: F401 - registers them
        from wallet.reconciliation import Check, Difference, register

        register(Check("audit log", lambda: [Difference(found.text, found.client_id) for found in check_chains()]))
