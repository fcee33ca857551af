from django.apps import AppConfig


class WalletConfig(AppConfig):
    name = "wallet"

    def ready(self) -> None:
        from wallet import holdings, kinds  # models exist only now
        from wallet.topups.comparing import register_checks

        register_checks()
        kinds.register_kinds()
        holdings.register_part()
