from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import guards, holdings, kinds, witnesses  # models exist only now

        guards.connect()
        witnesses.connect()
        kinds.register_kinds()
        holdings.register_part()
