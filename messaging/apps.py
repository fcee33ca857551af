from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "messaging"

    def ready(self) -> None:
        from messaging.reconciliation import register_checks  # models exist only now

        register_checks()
