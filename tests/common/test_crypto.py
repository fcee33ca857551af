"""Secrets at rest (GUARANTEES.md S1)."""

import pytest
from cryptography.fernet import Fernet

from crm.common.crypto import Undecryptable, decrypt_text, digest, encrypt_text
from crm.common.fields import EncryptedJSONField


def test_S1_what_is_encrypted_is_unreadable_and_comes_back():
    token = encrypt_text("siri ya mpesa ✓")
    assert "siri" not in token
    assert token != encrypt_text("siri ya mpesa ✓")
    assert decrypt_text(token) == "siri ya mpesa ✓"


def test_S1_keys_rotate_by_a_new_one_in_front(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [old]
    token = encrypt_text("siri")
    settings.ENCRYPTION_KEYS = [new, old]
    assert decrypt_text(token) == "siri"
    fresh = encrypt_text("siri")
    settings.ENCRYPTION_KEYS = [new]
    assert decrypt_text(fresh) == "siri"
    with pytest.raises(Undecryptable):
        decrypt_text(token)


def test_S1_an_altered_value_is_refused():
    token = encrypt_text("siri")
    with pytest.raises(Undecryptable):
        decrypt_text(token[:-4] + ("AAA=" if token[-4:] != "AAA=" else "BBB="))


def test_S1_the_field_keeps_ciphertext_and_cannot_be_searched():
    field = EncryptedJSONField()
    stored = field.get_prep_value({"password": "siri"})
    assert "siri" not in stored
    assert "password" not in stored
    assert field.from_db_value(stored, None, None) == {"password": "siri"}
    assert field.get_prep_value(None) is None
    assert field.from_db_value(None, None, None) is None
    assert field.get_lookup("exact") is None
    assert field.get_lookup("isnull") is not None


def test_digests_are_sha256_of_utf8():
    assert digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest("\ud800") != digest("\ud801")
