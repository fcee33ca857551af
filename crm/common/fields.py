"""Model fields that keep more than they show."""

import json
from typing import Any

from django.db import models

from crm.common.crypto import decrypt_text, encrypt_text


class EncryptedJSONField(models.TextField):
    """A JSON value that lies in the database, in backups and in `dumpdata` as ciphertext (crm/common/crypto.py).

    It can be asked for NULL and nothing else: equal values have different ciphertexts.
    """

    description = "JSON, encrypted"
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else encrypt_text(json.dumps(value, separators=(",", ":")))

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(decrypt_text(value))

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> Any:
        return self.get_prep_value(self.value_from_object(obj))

    def get_lookup(self, lookup_name: str) -> Any:
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None
