"""A hash of its name alone holds a group out."""

from __future__ import annotations

import pytest

from woodblock.tables import texts


@pytest.mark.parametrize("share", [0.05, 0.16, 0.5])
def test_held_out_share_is_about_right_and_depends_on_the_name_alone(share):
    names = [f"中华人民共和国第{i}号法" for i in range(4000)]
    held = [texts.held_out(name, share) for name in names]
    assert abs(sum(held) / len(held) - share) < 4 * (share * (1 - share) / len(held)) ** 0.5
    assert held == [texts.held_out(name, share) for name in names]
    # A larger share holds out the same groups and more: changing it moves no group to and fro.
    assert all(texts.held_out(name, 0.6) for name, is_held in zip(names, held, strict=True) if is_held)
