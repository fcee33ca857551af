"""U5: no exported cell begins like a formula, and nothing else is changed."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.common.exports import csv_lines, safe_cell

STARTS = "=+-@\t\r\n\0＝＋－＠"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+254712345678", "254712345678"),
        ("+254 712 345 678", "'+254 712 345 678"),
        ("-12.50", "-12.50"),
        ("+3", "+3"),
        ("-cmd", "'-cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),
        ("\tx", "'\tx"),
        ("Ann", "Ann"),
        (None, ""),
        (12, "12"),
        (-3, "-3"),
        ("", ""),
    ],
)
def test_cells(value, cell):
    assert safe_cell(value) == cell


@given(st.text(alphabet=st.one_of(st.sampled_from(STARTS + "1.é\"',"), st.characters(codec="utf-8")), max_size=12))
def test_no_text_becomes_a_formula(text):
    cell = safe_cell(text)
    if cell.startswith(tuple(STARTS)):
        float(cell)  # a plain number, nothing else


def test_lines_read_back_as_the_same_rows():
    text = "".join(csv_lines([["Name", 'with "quotes"'], ["two\nlines", "a,b"]]))
    assert text.startswith("\ufeffName")
    assert list(csv.reader(io.StringIO(text[1:], newline=""))) == [["Name", 'with "quotes"'], ["two\nlines", "a,b"]]
