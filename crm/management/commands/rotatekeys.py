"""manage.py rotatekeys: encrypt every secret with the newest key."""

from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, models

from accounts.services.audit import record_audit
from crm.common.crypto import Undecryptable, renew_token
from crm.common.fields import EncryptedJSONField

CHUNK = 200


class Command(BaseCommand):
    help = (
        "Encrypt every secret in the database (credentials of providers and of M-Pesa, webhook secrets, …) with the "
        "newest key. Put the new key before the old one in ENCRYPTION_KEY, separated by a comma, restart, run this, "
        "and then take the old key away. It can be stopped and started again at any time; what is done is passed over. "
        "Exits 1 while a value is left that no key opens."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count what is left to do and change nothing")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        renewed, closed = 0, []
        for model in apps.get_models():
            for field in model._meta.concrete_fields:
                if isinstance(field, EncryptedJSONField):
                    done, left = _renew(model, str(field.column), dry_run)
                    renewed += done
                    closed += left
                    self.stdout.write(f"{model._meta.label}.{field.name}: {done} {'to do' if dry_run else 'renewed'}")
        if renewed and not dry_run:
            record_audit(client=None, action="secrets.rotated", after={"values": renewed})
        for place in closed:
            self.stdout.write(f"no key opens {place}")
        if closed:
            raise CommandError(f"{len(closed)} values that no key of ENCRYPTION_KEY opens", returncode=1)


def _renew(model: type[models.Model], column: str, dry_run: bool) -> tuple[int, list[str]]:
    """(how many values were not under the newest key, places of those that none opens), in chunks by primary key."""
    table, key = model._meta.db_table, model._meta.pk.column
    done, closed, last = 0, [], None
    while True:
        condition = f'WHERE "{key}" > %s' if last is not None else ""
        params: list[Any] = [last] if last is not None else []
        with connection.cursor() as cursor:
            cursor.execute(
                f'SELECT "{key}", "{column}" FROM "{table}" {condition} ORDER BY "{key}" LIMIT {CHUNK}', params
            )
            rows = cursor.fetchall()
            for pk, token in rows:
                last = pk
                try:
                    new = renew_token(token) if token else None
                except Undecryptable:
                    closed.append(f"{model._meta.label} {pk}")
                    continue
                if new is None:
                    continue
                if not dry_run:  # a value that was written meanwhile is under the newest key already
                    cursor.execute(
                        f'UPDATE "{table}" SET "{column}" = %s WHERE "{key}" = %s AND "{column}" = %s', [new, pk, token]
                    )
                done += 1
        if len(rows) < CHUNK:
            return done, closed
