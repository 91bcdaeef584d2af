"""Texts: their one form, their fingerprint, and the split that their group belongs to."""

from __future__ import annotations

import hashlib
import re
import unicodedata

# What no reader sees: byte order marks, zero-width and bidirectional controls, soft hyphens, C0 and C1 controls.
INVISIBLE = re.compile(
    "[\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2064\u00ad\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]"
)
NEWLINES = re.compile("\r\n|\r|\x85|\u2028|\u2029")
THIN_SPACES = re.compile("[\u2000-\u200a\u202f\u205f]")  # typesetters' spaces, inside numbers for the most part
# What goes from the head of a line: the indentation of Chinese paragraphs, and lines that only draw (frames, rules).
HEAD = re.compile(
    r"^[^\S\n]+(?=[\u2e80-\u2fff\u3001-\u9fff\uff00-\uffef“‘《（])|^[^\S\n]*[-=_*+|~—─━]{4,}$\n?", re.MULTILINE
)
ODD = re.compile(f"{INVISIBLE.pattern}|[\r\x85\u2028\u2029\u2000-\u200a\u202f\u205f]")
BLANK_LINES = re.compile(r"\n{3,}")


def repair(text: str) -> str:
    """The text in NFC, without what only machines and typesetters put there. Idempotent.

    NFC and not NFKC: full-width ，！？ stay as the author wrote them. Lines, paragraphs and the indentation of code are
    kept; the indentation of Chinese paragraphs goes.
    """
    if ODD.search(text):  # one search instead of three: most texts have none
        text = THIN_SPACES.sub("", INVISIBLE.sub("", NEWLINES.sub("\n", text)))
    text = unicodedata.normalize("NFC", text)  # after what stood between a letter and its accent is gone
    text = text.replace("\u2581", "_")  # SentencePiece's mark for a space: it would come back as one
    text = "\n".join([line.rstrip() for line in text.split("\n")])  # seven times as fast as an expression
    text = HEAD.sub("", text)
    return (BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text).strip()


def fingerprint(text: str) -> bytes:
    """16 bytes that two texts share only if they are equal."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def held_out(group: str, share: float) -> bool:
    """Whether a document group belongs to the validation split: decided by a hash of its name alone.

    So the split of a group never depends on what else is in the corpus, and whole laws and chapters stay together.
    """
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") < share * 2**64
