"""Texts: their fingerprint, and whether their group is held out."""

from __future__ import annotations

import hashlib


def fingerprint(text: str) -> bytes:
    """16 bytes that two texts share only if they are equal."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def held_out(group: str, share: float) -> bool:
    """Whether a group of documents belongs to the validation split. Only a hash of its name decides.

    So the split of a group does not depend on the rest of the corpus, and whole laws and chapters stay together.
    """
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") < share * 2**64
