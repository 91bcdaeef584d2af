"""Numbers, rates and durations for readers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.reporting import readable


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (4096, "4,096"),
        (0.0, "0.000"),
        (1.40123456, "1.401"),
        (0.0213, "0.0213"),
        (12345.6, "12,346"),
        (3e-7, "3e-07"),
        (None, "–"),
    ],
)
def test_numbers_for_readers(value, shown):
    assert readable.number(value) == shown


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_float_has_a_form(value):
    assert readable.number(value)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("tokens_per_second", 1234.5, "1,234 tokens/s"),
        ("flops_per_second", 3.745e11, "374 GFLOP/s"),
        ("mfu_percent", 45.16, "MFU 45.2\N{NO-BREAK SPACE}%"),
    ],
)
def test_rates(key, value, shown):
    assert readable.rate(key, value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(4.21, "4.2 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")])
def test_durations(seconds, shown):
    assert readable.duration(seconds) == shown
