"""Reads an SVG drawing in tests: well-formed, and its marks within it."""

from __future__ import annotations

from xml.etree import ElementTree


def within(drawing: str) -> ElementTree.Element:
    """Parse a drawing; every line, dot and box must lie within its viewBox."""
    root = ElementTree.fromstring(drawing)
    _, _, width, height = map(float, root.get("viewBox").split())
    for element in root.iter():
        for names, limit in ((("x", "x1", "x2", "cx"), width), (("y", "y1", "y2", "cy"), height)):
            for name in names:
                if (value := element.get(name)) is not None:
                    assert -1 <= float(value) <= limit + 1, (element.tag, name, value)
    return root
