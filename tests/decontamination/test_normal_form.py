"""The normal form is what Unicode says of each character, and compatible forms compare equal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlaps_by_brute_force import characters

from woodblock.decontamination.normal_form import normalised


@given(st.text(max_size=40))
@settings(max_examples=500)
def test_normalised_character_by_character(text):
    assert normalised(text) == characters(text)
    assert normalised(normalised(text)) == normalised(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=300)
def test_compatible_forms_compare_equal(text):
    forms = {normalised(unicodedata.normalize(form, text)) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert forms == {normalised(text)}


def test_every_code_point_comes_apart_as_unicode_has_it():
    for start in range(0, 0x110000, 0x1000):
        text = "".join(f"甲{chr(point)}甲" for point in range(start, start + 0x1000))
        assert normalised(text) == characters(text), hex(start)


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("Ｗｏｏｄ－Ｂｌｏｃｋ，雕版！ ½ Å", "woodblock雕版12a"),
        ("维生素有：A.脂溶的；Ｂ、水溶的", "维生素有脂溶的水溶的"),
        ("面積與x光", "面积与光"),  # Traditional becomes Simplified, by characters
        ("看著妳", "看着你"),
        ("\ud800甲", "甲"),  # half of a surrogate pair
        ("，。！", ""),
    ],
)
def test_what_is_compared(text, compared):
    assert normalised(text) == compared
