"""One table of cases for both counters: crm/common/text_units.py bills, static/js/composer.js shows while one types."""

import json
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from crm.common.letter_names import NAMED
from crm.common.merge_fields import parse_template
from crm.common.plain_letters import plain_letter
from crm.common.text_units import MAX_CHARACTERS, count_units, forcing_unicode, lay_out
from messaging.models import Message
from messaging.services.accept import Draft, accept_messages
from messaging.services.filling import Filler, field_values
from messaging.services.preview import preview_text
from wallet.models import LedgerEntry
from wallet.services import create_price_plan, credit_wallet, set_price_plan

CASES = json.loads(Path(__file__).with_name("unit_cases.json").read_text())
RULES = ("per_160", "segments")


def text_of(case) -> str:
    """A text, or pieces with how often each is repeated."""
    pieces = case["text"]
    if isinstance(pieces, str):
        return pieces
    return "".join(piece * times for piece, times in zip(pieces[::2], pieces[1::2], strict=True))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_python_counts_the_table(case, rule):
    layout = lay_out(text_of(case), rule)
    assert (layout.encoding, [len(layout.parts), layout.left]) == (case["encoding"], case[rule])


TEXTS = st.text(st.sampled_from("ab €[\n{}|çж’😀é"), min_size=1, max_size=500)


@given(TEXTS, st.sampled_from(RULES))
def test_the_parts_are_the_text_and_as_many_as_are_billed(text, rule):
    layout = lay_out(text, rule)
    assert "".join(layout.parts) == text
    assert len(layout.parts) == count_units(text, rule).units
    assert 0 <= layout.left < layout.size


def run_js(texts: list[str], templates: list[list]) -> list:
    """What static/js/composer.js makes of texts and of [text, values] pairs."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the composer's counter was not run")
    module = Path(settings.BASE_DIR, "static/js/composer.js").read_text()
    driver = """
        const { texts, templates } = CASES;
        const counted = texts.map((text) => ["per_160", "segments"].map((rule) => {
          const { encoding, parts, size, left } = layOut(text, rule);
          return [encoding, parts, size, left];
        }));
        const filled = templates.map(([text, values]) => fillIn(text, values));
        const plain = texts.map((text) => [
          usePlainLetters(text), usePlainLetters(text, true), [...text].map((one) => [one, plainLetter(one)]),
        ]);
        console.log(JSON.stringify([counted, filled, texts.map(forcingUnicode), MAX_CHARACTERS, plain, NAMES]));
    """
    done = subprocess.run(
        [node, "--input-type=module"],
        input=f"{module}\nconst CASES = {json.dumps({'texts': texts, 'templates': templates})};\n{driver}",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_composer_counts_the_table_and_lays_out_as_python_does():
    texts = [text_of(case) for case in CASES]
    counted, _, forcing, longest, *_ = run_js(texts, [])
    for case, text, by_rule, found in zip(CASES, texts, counted, forcing, strict=True):
        for rule, (encoding, parts, size, left) in zip(RULES, by_rule, strict=True):
            assert (encoding, [len(parts), left]) == (case["encoding"], case[rule]), case["what"]
            layout = lay_out(text, rule)
            assert (tuple(parts), size) == (layout.parts, layout.size), case["what"]
        assert found == [[one.character, one.count] for one in forcing_unicode(text)]
    assert longest == MAX_CHARACTERS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_the_table_is_billed_by_the_same_numbers(case):
    text = text_of(case)
    if text:
        assert [count_units(text, rule).units for rule in RULES] == [case[rule][0] for rule in RULES]


def test_the_composer_fills_fields_in_as_the_server_does():
    values = {"name": "Amina Wanjiru", "first_name": "Amina", "solde dû": "1 200", "empty": "", "$&": "x"}
    texts = [
        "Habari {name}!", "{ first_name | mzazi }", "{nobody|customer}", "{nobody}", "{solde dû} KES", "{empty|none}",
        "{}", "{1}", "{a", '{"a": 1}', "{{name}}", "{name|a}{first_name}", "{name|line\nbreak}", "{a-b|c}", "{_x|y}",
    ]  # fmt: skip
    _, filled, *_ = run_js([], [[text, values] for text in texts])
    assert filled == [parse_template(text).render(values) for text in texts]


# Plain letters: the text, what it becomes, what it becomes when the rest is removed.
PLAIN = [
    ("ça va ? Leçon d’été", "ca va ? Lecon d'été", None),
    ("é è à ù ì ò ä ö ñ ü Ç É", "é è à ù ì ò ä ö ñ ü Ç É", None),
    ("ê ï â î ô û ë œ Œ Š ž", "e i a i o u e oe OE S z", None),
    ("“N’Guessan” – «oui»…", '"N\'Guessan" - "oui"...', None),
    ("1\u202f200\u00a0F", "1 200 F", None),
    ("a\u200bb\ufeffc", "abc", None),
    ("Karibu 😀 sana", "Karibu 😀 sana", "Karibu  sana"),
    ("Привет", "Привет", ""),
    ("{solde dû|ê} ê", "{solde dû|ê} e", None),
    ("", "", None),
]


def test_plain_letters_are_the_same_here_and_there():
    every = "".join(chr(code) for code in [*range(0x20, 0x250), *range(0x1E00, 0x1F00), *range(0x2000, 0x2070)])
    *_, plain, _ = run_js([text for text, _, _ in PLAIN] + [every], [])
    for (text, wanted, stripped), (become, removed, _) in zip(PLAIN, plain, strict=False):
        assert (become, removed) == (wanted, wanted if stripped is None else stripped), text
    outside = [(one, twin) for one, twin in plain[-1][2] if forcing_unicode(one)]
    assert len(outside) > 500
    assert outside == [(one, plain_letter(one)) for one, _ in outside]
    assert all(not twin or not forcing_unicode(twin) for _, twin in outside)


def test_the_composer_names_characters_as_the_server_does():
    names = run_js([], [])[-1]
    assert len(names) > 30
    assert set(names.values()) == set(NAMED)  # which the catalogues have in other languages
    assert names == {found.character: found.name for found in forcing_unicode("".join(names))}


SIZES = (1, 66, 67, 68, 69, 70, 71, 133, 134, 135, 152, 153, 154, 159, 160, 161, 201, 305, 306, 307, 320, 321)


def many_texts() -> list[str]:
    """At least 200 different texts of 1 to 480 characters: the table, and every alphabet around every boundary."""
    texts = [text_of(case) for case in CASES]
    for filler in ("a", "ж", "é"):
        for size in (
            1,
            66,
            67,
            68,
            69,
            70,
            71,
            133,
            134,
            135,
            152,
            153,
            154,
            159,
            160,
            161,
            201,
            305,
            306,
            307,
            320,
            321,
        ):
            texts += [filler * size, filler * (size - 1) + "€", "€" + filler * (size - 1), filler * (size - 1) + "😀"]
    return [text for text in dict.fromkeys(texts) if text.strip() and len(text) <= MAX_CHARACTERS]


@pytest.mark.django_db
@pytest.mark.parametrize("rule", RULES)
def test_7_meter_preview_stored_units_and_ledger_are_one_figure(acme, provider, rule):
    texts = many_texts()
    assert len(texts) >= 200
    set_price_plan(client=acme, plan=create_price_plan(name="P", currency="KES", price_per_unit=1, unit_rule=rule))
    credit_wallet(client=acme, amount=Decimal(5000), reference="topup:7")
    meter = [by_rule[RULES.index(rule)] for by_rule in run_js(texts, [])[0]]
    preview = [preview_text(client=acme, text=text).units for text in texts]
    drafts = [Draft(f"+2547{10_000_000 + number}", text) for number, text in enumerate(texts)]
    results = accept_messages(client=acme, drafts=drafts, sender="HOSPITAL")
    stored = dict(Message.objects.for_client(acme).values_list("pk", "units"))
    entries = LedgerEntry.objects.for_client(acme).filter(kind="debit")
    charged = {reference: -micros for reference, micros in entries.values_list("reference", "amount_micros")}
    for text, counted, shown, result in zip(texts, meter, preview, results, strict=True):
        units = len(counted[1])
        figures = (shown, result.units, stored[result.id], charged[f"message:{result.id}"] // 1_000_000)
        assert figures == (units, units, units, units), text


def test_the_gaps_in_merged_amounts_and_dates_are_plain_spaces():
    row = (
        1,
        "+2250712345678",
        "Yao Koffi",
        "",
        "",
        {"montant": "12\u202f500\u00a0F CFA", "date": "3\u00a0déc. 2026"},
    )
    filler = Filler("{first_name}, {montant}, {date}")
    text = filler.template.render(filler.values(row))
    assert text == "Yao, 12 500 F CFA, 3 déc. 2026"
    assert not forcing_unicode(text)
    assert field_values(row)["montant"] == "12 500 F CFA"
