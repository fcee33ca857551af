"""Segments and units: the published boundary table, and smsutil as an independent oracle."""

import pytest
import smsutil
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.common.text_units import (
    EmptyText,
    UnreadableText,
    clean_text,
    count_segments,
    count_units,
    forcing_unicode,
)

FAMILY = "👨\u200d👩\u200d👧\u200d👦"  # eleven UTF-16 units


@pytest.mark.parametrize(
    ("text", "encoding", "used", "segments"),
    [
        ("a" * 160, "gsm7", 160, 1),
        ("a" * 161, "gsm7", 161, 2),
        ("a" * 306, "gsm7", 306, 2),
        ("a" * 307, "gsm7", 307, 3),
        ("€" + "a" * 158, "gsm7", 160, 1),
        ("€" + "a" * 159, "gsm7", 161, 2),
        ("[" + "a" * 159, "gsm7", 161, 2),
        ("€" * 80, "gsm7", 160, 1),
        ("€" * 81, "gsm7", 162, 2),
        ("€" * 152, "gsm7", 304, 2),
        ("€" * 153, "gsm7", 306, 3),
        ("a" * 152 + "€" + "a" * 152, "gsm7", 306, 3),
        ("a" * 151 + "€" + "a" * 153, "gsm7", 306, 2),
        ("ж" * 70, "ucs2", 70, 1),
        ("ж" * 71, "ucs2", 71, 2),
        ("ж" * 134, "ucs2", 134, 2),
        ("ж" * 135, "ucs2", 135, 3),
        ("😀" + "ж" * 68, "ucs2", 70, 1),
        ("😀" + "ж" * 69, "ucs2", 71, 2),
        ("ж" * 69 + "😀", "ucs2", 71, 2),
        ("😀" * 35, "ucs2", 70, 1),
        ("😀" * 36, "ucs2", 72, 2),
        ("ж" * 66 + "😀" + "ж" * 66, "ucs2", 134, 3),
        ("ж" * 65 + "😀" + "ж" * 67, "ucs2", 134, 2),
        ("😀" * 67, "ucs2", 134, 3),
        ("ж" * 60 + FAMILY + "ж" * 60, "ucs2", 131, 2),
        ("it’s", "ucs2", 4, 1),
        ("garçon", "ucs2", 6, 1),
        ("GARÇON", "gsm7", 6, 1),
        ("a\r\nb", "gsm7", 4, 1),
        ("a\fb", "gsm7", 4, 1),
        ("§", "gsm7", 1, 1),
        ("`", "ucs2", 1, 1),
    ],
)
def test_boundary_table(text, encoding, used, segments):
    counted = count_segments(text)
    assert (counted.encoding, counted.used, counted.segments) == (encoding, used, segments)
    assert counted.characters == len(text)


@pytest.mark.parametrize("character", "\t´ç\u00a0\u200b\ufeff–—…•‘“₦₵êëîïôûâœíóú\x1b")
def test_characters_often_mistaken_for_standard(character):
    assert count_segments(character).encoding == "ucs2"


# Long runs around the boundaries, with the characters that may not be cut in two.
_near = st.lists(
    st.tuples(st.sampled_from("aZ é€[|\n"), st.sampled_from([1, 2, 50, 75, 76, 77, 150, 151, 152, 153])), max_size=6
)
_astral = st.lists(st.tuples(st.sampled_from("aж😀€"), st.sampled_from([1, 2, 33, 34, 65, 66, 67])), max_size=6)


@settings(max_examples=300, deadline=None)
@given(st.one_of(_near, _astral).map(lambda runs: "".join(c * n for c, n in runs)))
def test_agrees_with_smsutil_around_the_boundaries(text):
    _same_as_smsutil(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400))
def test_agrees_with_smsutil_on_any_text(text):
    _same_as_smsutil(text)


def _same_as_smsutil(text):
    if not text or "\x1b" in text:  # smsutil calls the empty text UCS-2 and a raw ESC a valid character
        return
    theirs = smsutil.split(text)
    ours = count_segments(text)
    assert ours.segments == len(theirs.parts)
    assert ours.encoding == ("gsm7" if smsutil.is_valid_gsm(text) else "ucs2")


@pytest.mark.parametrize("rule", ["per_160", "segments"])
def test_there_is_nothing_to_count_in_an_empty_text(rule):
    with pytest.raises(EmptyText):
        count_units("", rule)


@pytest.mark.parametrize(
    ("text", "per_160", "segments"),
    [
        ("a" * 160, 1, 1),
        ("a" * 161, 2, 2),
        ("a" * 320, 2, 3),
        ("a" * 321, 3, 3),
        ("a" * 480, 3, 4),
        ("€" * 160, 1, 3),
        ("ж" * 71, 2, 2),
        ("ж" * 160, 3, 3),
    ],
)
def test_counting_rules(text, per_160, segments):
    assert count_units(text, "per_160").units == per_160
    assert count_units(text, "segments").units == segments
    assert count_units(text, "per_160").segments == segments


def test_clean_text_unifies_line_ends_and_composes_letters():
    assert clean_text("a\r\nb\rc\nd") == "a\nb\nc\nd"
    assert clean_text("cafe\u0301") == "café"
    assert count_segments(clean_text("cafe\u0301")).encoding == "gsm7"


@pytest.mark.parametrize(("raw", "reason"), [("a\x00b", "nul"), ("a\ud83d", "surrogate")])
def test_clean_text_refuses_what_no_database_holds(raw, reason):
    with pytest.raises(UnreadableText) as refused:
        clean_text(raw)
    assert refused.value.facts == {"reason": reason}


def test_forcing_unicode_names_each_character():
    found = forcing_unicode("“Habari” Zoë\t’’")
    assert [(f.character, f.count) for f in found] == [("“", 1), ("”", 1), ("ë", 1), ("\t", 1), ("’", 2)]
    assert [f.name for f in found][-3:] == ["latin small letter e with diaeresis", "tab", "right single quotation mark"]
    assert forcing_unicode("Habari Amina, déjà {} [€]\n") == []
