from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import kinds, witnesses  # models exist only now

        witnesses.connect()
        kinds.register_kinds()
