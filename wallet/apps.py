from django.apps import AppConfig


class WalletConfig(AppConfig):
    name = "wallet"

    def ready(self) -> None:
        from wallet.topups.comparing import register_checks  # models exist only now

        register_checks()
