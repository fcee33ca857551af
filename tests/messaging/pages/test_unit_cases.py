"""One table of cases for both counters: crm/common/text_units.py bills, static/js/composer.js shows while one types."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from crm.common.merge_fields import parse_template
from crm.common.text_units import MAX_CHARACTERS, count_units, forcing_unicode, lay_out

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
        const { texts, templates } = JSON.parse(process.env.CASES);
        const counted = texts.map((text) => ["per_160", "segments"].map((rule) => {
          const { encoding, parts, size, left } = layOut(text, rule);
          return [encoding, parts, size, left];
        }));
        const filled = templates.map(([text, values]) => fillIn(text, values));
        console.log(JSON.stringify([counted, filled, texts.map(forcingUnicode), MAX_CHARACTERS]));
    """
    done = subprocess.run(
        [node, "--input-type=module"],
        input=module + driver,
        env={"CASES": json.dumps({"texts": texts, "templates": templates})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_composer_counts_the_table_and_lays_out_as_python_does():
    texts = [text_of(case) for case in CASES]
    counted, _, forcing, longest = run_js(texts, [])
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
    _, filled, _, _ = run_js([], [[text, values] for text in texts])
    assert filled == [parse_template(text).render(values) for text in texts]
