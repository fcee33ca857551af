from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "messaging"

    def ready(self) -> None:
        from accounts.signals import (  # models exist only now
            asking_system_sender,
            client_resumed,
            client_suspended,
            system_sms,
        )
        from contacts.signals import asking_for_messages, asking_who_was_messaged
        from messaging import holdings, kinds
        from messaging.causes import causes_of
        from messaging.queries import every_message, messaged_since
        from messaging.reconciliation import register_checks
        from messaging.services import notices, suspension
        from wallet.signals import asking_what_for

        register_checks()
        kinds.register_kinds()
        holdings.register_part()
        client_suspended.connect(suspension.hold_everything, dispatch_uid="messaging")
        client_resumed.connect(suspension.release_single_messages, dispatch_uid="messaging")
        asking_system_sender.connect(notices.system_sender, dispatch_uid="messaging")
        system_sms.connect(notices.send_system_sms, dispatch_uid="messaging")
        asking_what_for.connect(causes_of, dispatch_uid="messaging")
        asking_who_was_messaged.connect(messaged_since, dispatch_uid="messaging")
        asking_for_messages.connect(every_message, dispatch_uid="messaging")
