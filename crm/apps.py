from django.apps import AppConfig


class CrmConfig(AppConfig):
    """The composition root: home page, page frame, supervisor. It has no models."""

    name = "crm"

    def ready(self) -> None:
        from crm.celery import app

        app.set_default()
