from django.apps import AppConfig


class ContactsConfig(AppConfig):
    name = "contacts"

    def ready(self) -> None:
        from contacts import holdings, kinds  # models exist only now

        kinds.register_kinds()
        holdings.register_part()
