"""`manage.py seed_demo`: the demo client that `serve` makes on its first start, where it was left out then."""

from typing import Any

from django.core.management.base import BaseCommand

from crm import demo


class Command(BaseCommand):
    help = "Make the sandbox a provider and open the demo client, if there is no client yet; print its access."

    def handle(self, *args: Any, **options: Any) -> None:
        demo.connect_sandbox()
        made = demo.seed_if_empty()
        access = demo.load_access()
        if access is None:
            self.stdout.write("There are clients already and none is the demo client: nothing was made.")
            return
        self.stdout.write("Made a demo client." if made else "The demo client is there already.")
        self.stdout.write(f"{access.email} / {access.password}, client {access.client_id}, API key {access.api_key}")
