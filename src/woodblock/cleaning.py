"""Cleaning: repair text, drop what cannot be learned from, remove duplicates, hold out a validation split.

Every drop is counted by its cause in a Funnel. The measures are of characters: filters made for English words wreck
Chinese, which has no spaces.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any

# What no reader sees: byte order marks, zero-width and bidirectional controls, soft hyphens, C0 and C1 controls.
INVISIBLE = re.compile(
    "[\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2064\u00ad\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]"
)
NEWLINES = re.compile("\r\n|\r|\x85|\u2028|\u2029")
THIN_SPACES = re.compile("[\u2000-\u200a\u202f\u205f]+")  # typesetters' spaces, inside numbers for the most part
INDENT = re.compile(r"^[^\S\n]+(?=[\u2e80-\u2fff\u3001-\u9fff\uff00-\uffef“‘《（])", re.MULTILINE)
RULE = re.compile(r"^[^\S\n]*[-=_*+|~—─━]{4,}$\n?", re.MULTILINE)  # lines that only draw: table frames, rules
TRAILING = re.compile(r"(?<![^\S\n])[^\S\n]+$", re.MULTILINE)  # looks back to try each run of spaces once alone
BLANK_LINES = re.compile(r"\n{3,}")

BROKEN_SHARE = 0.001  # of replacement and private-use characters, above which a text is taken for mojibake
LINE_CHARS = 20  # a line of this length that two documents share is shared text; shorter ones are headings and phrases
ROLES = ("system", "user", "assistant")


def repair(text: str) -> str:
    """The text in NFC, without what only machines and typesetters put there. Idempotent.

    NFC and not NFKC: full-width ，！？ stay as the author wrote them. Lines, paragraphs and the indentation of code are
    kept; the indentation of Chinese paragraphs goes.
    """
    text = THIN_SPACES.sub("", INVISIBLE.sub("", NEWLINES.sub("\n", text)))
    text = unicodedata.normalize("NFC", text)  # after what stood between a letter and its accent is gone
    text = text.replace("\u2581", "_")  # SentencePiece's mark for a space: it would come back as one
    text = RULE.sub("", INDENT.sub("", TRAILING.sub("", text)))
    return BLANK_LINES.sub("\n\n", text).strip()


def broken(text: str) -> bool:
    """Whether a text holds marks of a lost encoding: replacement (U+FFFD) or private-use characters."""
    bad = sum(c == "\ufffd" or "\ue000" <= c <= "\uf8ff" for c in text)
    return bad > BROKEN_SHARE * len(text)


def fingerprint(text: str) -> bytes:
    """16 bytes that two texts share only if they are equal."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def held_out(group: str, share: float) -> bool:
    """Whether a document group belongs to the validation split: decided by a hash of its name alone.

    So the split of a group never depends on what else is in the corpus, and whole laws and chapters stay together.
    """
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") < share * 2**64


class Funnel:
    """Counts what enters, what is kept and what is dropped by cause."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._seen: set[bytes] = set()

    def keep(self, text: str, *, min_chars: int = 1, key: str | None = None) -> bool:
        """Count a repaired text, and say whether it stays. key: what makes it a duplicate (the text, unless given)."""
        self.counts["read"] += 1
        mark = fingerprint(text if key is None else key)
        if not text:
            cause = "empty"
        elif broken(text):
            cause = "broken"
        elif len(text) < min_chars:
            cause = "short"
        elif mark in self._seen:
            cause = "duplicate"
        else:
            self._seen.add(mark)
            self.counts["kept"] += 1
            return True
        self.counts[f"dropped_{cause}"] += 1
        return False

    def drop(self, cause: str) -> None:
        """Count a record that was dropped before its text could be looked at."""
        self.counts["read"] += 1
        self.counts[f"dropped_{cause}"] += 1


def long_lines(text: str) -> Iterator[str]:
    """The lines of a text that are long enough to be called text of their own."""
    return (line for line in map(str.strip, text.split("\n")) if len(line) >= LINE_CHARS)


def without_lines(text: str, lines: set[bytes]) -> tuple[str, int]:
    """The text without those of its long lines whose fingerprints are in `lines`; and how many went.

    Laws repeat one another's articles word by word: what stands in a validation document must not be trained on.
    """
    kept = [
        line for line in text.split("\n") if len(line.strip()) < LINE_CHARS or fingerprint(line.strip()) not in lines
    ]
    return BLANK_LINES.sub("\n\n", "\n".join(kept)).strip(), text.count("\n") + 1 - len(kept)


def conversation(messages: list[dict[str, Any]]) -> tuple[list[dict[str, str]] | None, str]:
    """A conversation's messages, repaired; or None and the cause why it cannot be used.

    A conversation is an optional system message, then user and assistant in turn, ending with the assistant.
    """
    repaired = [{"role": m["role"], "content": repair(m["content"] or "")} for m in messages]
    roles = [m["role"] for m in repaired]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or any(role not in ROLES for role in roles):
        return None, "roles"
    if turns != ["user", "assistant"] * (len(turns) // 2) or len(turns) % 2:
        return None, "roles"
    if any(not m["content"] for m in repaired):
        return None, "empty"
    return repaired, ""
