"""Texts: their fingerprint, and the split that their group belongs to."""

from __future__ import annotations

import hashlib
import re

BLANK_LINES = re.compile(r"\n{3,}")


def fingerprint(text: str) -> bytes:
    """16 bytes that two texts share only if they are equal."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def held_out(group: str, share: float) -> bool:
    """Whether a document group belongs to the validation split: decided by a hash of its name alone.

    So the split of a group never depends on what else is in the corpus, and whole laws and chapters stay together.
    """
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") < share * 2**64
