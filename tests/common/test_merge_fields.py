"""Merge fields: filled in, fallen back on, and everything else left alone."""

import pytest

from crm.common.merge_fields import parse_template


def test_fields_are_filled_in():
    template = parse_template("Habari {name}, deni lako ni {Amount due}. {name}!")
    assert template.fields == ("name", "Amount due")
    assert template.render({"name": "Amina", "Amount due": "KES 300"}) == "Habari Amina, deni lako ni KES 300. Amina!"


def test_fallback_stands_in_for_a_missing_or_empty_value():
    template = parse_template("Dear {first_name|client}, {town}")
    assert template.render({"town": "Kisumu"}) == template.render({"first_name": "", "town": "Kisumu"})
    assert template.render({"town": "Kisumu"}) == "Dear client, Kisumu"
    assert template.without_fallback == ("town",)
    assert template.render({}) == "Dear client, "


def test_a_field_counts_as_without_fallback_if_one_of_its_places_has_none():
    assert parse_template("{a|x} {a}").without_fallback == ("a",)
    assert parse_template("{a|}").without_fallback == ("a",)


@pytest.mark.parametrize(
    "text", ["", "no fields", "{}", "{1}", "{ }", "{a", "a}", '{"a": 1}', "{|x}", "{a.b}", "{a|b", "{{", "%s %(a)s $a"]
)
def test_other_braces_stay_literal(text):
    template = parse_template(text)
    assert template.fields == ()
    assert template.render({"a": "!"}) == text


def test_doubled_braces_are_a_field_in_braces():
    assert parse_template("{{name}}").render({"name": "Amina"}) == "{Amina}"


def test_values_are_never_read_for_fields_again():
    template = parse_template("{a} {b}")
    assert template.render({"a": "{b}", "b": "{a|x} \\1 %s"}) == "{b} {a|x} \\1 %s"


def test_with_known_names_unknown_fields_stay_literal():
    template = parse_template("Dear {name}, use {code} now", known={"name"})
    assert template.fields == ("name",)
    assert template.render({"name": "Amina", "code": "1"}) == "Dear Amina, use {code} now"


def test_names_in_any_script_and_spaces_around_them():
    assert parse_template("{ prénom |ami}").render({}) == "ami"
    assert parse_template("{ prénom |ami}").render({"prénom": "Zoë"}) == "Zoë"
