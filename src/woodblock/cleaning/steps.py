"""The steps of cleaning a document: repair its text, remove markup, mask personal data, drop bad text, score the rest.

STEPS has the steps in their order. A Funnel counts what each step does, and keeps ten of the documents that it dropped.
All measures count characters: filters made for English words harm Chinese, which has no spaces. The steps are those of
FineWeb (Penedo et al. 2024, arXiv:2406.17557) and Gopher (Rae et al. 2021, arXiv:2112.11446), with limits that were
measured on Chinese text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from woodblock.cleaning import boilerplate, encodings, markup, measures, personal_data
from woodblock.cleaning.filters import LISTED_CHARS, Limits, filtered
from woodblock.cleaning.quality import Model
from woodblock.cleaning.repairing import repair
from woodblock.tables.funnel import KEPT, Funnel

Histograms = dict[str, dict[str, list[int]]]  # by measure and source, the documents in each bin

CUT_CHARS = 100  # a reply of at least this length that ends in the middle of a sentence was cut

# What happens to a document, in this order. Those marked + change it, those marked - drop it.
STEPS = {
    "encoding": "+- repair what was read in the wrong encoding, bring it to NFC; drop what stays garbled",
    "markup": "+ HTML and the boilerplate of Markdown",
    "simplified": "+ Traditional to Simplified",
    "language": "- another language",
    "length": "- too short",
    "repetition": "- repeats itself",
    "ratios": "- digits, symbols, punctuation: a list or a table, no running text",
    "spam": "- sells bets, sex, forged papers or the like, or is stuffed with a shop's keywords",
    "lines": "+ navigation, footers, notices",
    "personal_data": "+ placeholders for mobile numbers, addresses, cards",
    "quality": "- improbable under a small language model",
}


# --- one text ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _to_simplified() -> Any:
    import opencc

    return opencc.OpenCC("t2s")


def simplified(text: str) -> str:
    """The text with Traditional characters as Simplified ones, phrase by phrase (OpenCC, t2s)."""
    converted: str = _to_simplified().convert(text)
    return converted


# --- documents --------------------------------------------------------------------------------------------------------


def stripped(record: Mapping[str, Any], limits: Limits, funnel: Funnel) -> str | None:
    """The text of a record after the steps that need no measures; None, and counted, if it stays garbled."""
    # First of all: misread text has control characters that are needed here, and `repair` would remove them.
    if (text := encodings.mend(record["text"])) != record["text"]:
        funnel.change("encoding")
    text = repair(text)
    if encodings.broken(text):
        funnel.drop("encoding", record, text, "garbled")
        return None
    if (plain := markup.plain(text)) != text:
        funnel.change("markup")
        text = repair(plain)
    if limits.simplified and (converted := simplified(text)) != text:
        funnel.change("simplified")
        text = converted
    return text


def documents(
    records: Sequence[Mapping[str, Any]], limits: Limits, model: Model | None, funnel: Funnel
) -> list[dict[str, Any]]:
    """Clean a batch of corpus records; returns those that stay, with their quality and weight.

    model: scores the documents. None: no score (for the sample that the model itself is counted on).
    """
    counts = funnel.counts
    counts["read"] += len(records)
    counts["characters_read"] += sum(len(record["text"]) for record in records)
    texts = [(record, text) for record in records if (text := stripped(record, limits, funnel)) is not None]
    rows = measures.measure([text for _, text in texts])
    left: list[tuple[Mapping[str, Any], str]] = []
    for (record, text), row in zip(texts, rows, strict=True):
        measured = dict(zip(measures.MEASURES, row.tolist(), strict=True))
        if verdict := filtered(text, measured, limits.of_source(record["source"])):
            step, reason, value = verdict
            funnel.drop(step, record, text, reason, value)
            continue
        text, removed = boilerplate.without_boilerplate(text)
        if removed:
            funnel.change("lines")
            counts["lines_removed"] += removed
            text = repair(text)
        text = masked(text, limits, funnel)
        if len(text) < limits.of_source(record["source"]).min_chars:
            funnel.drop("length", record, text, f"{len(text)} characters", len(text))
            continue
        left.append((record, text))
    if model is None:
        return [{**record, "text": text} for record, text in left]
    kept = []
    for (record, text), bits in zip(left, model.bits_per_byte([text for _, text in left]), strict=True):
        most = limits.of_source(record["source"]).max_bits
        if most is not None and bits > most:
            funnel.drop("quality", record, text, "bits per byte", bits)
            continue
        # A document with twice the bits counts a half, a quarter, … as often, depending on the exponent.
        weight = record["weight"] * (1.0 if not limits.weight_by_quality else (2 / bits) ** limits.weight_by_quality)
        kept.append({**record, "text": text, "weight": weight, "quality": round(-float(bits), 4)})
        counts["characters_kept"] += len(text)
        funnel.sample(KEPT, record, text, "bits per byte", bits)
    counts["kept"] += len(kept)
    return kept


def masked(text: str, limits: Limits, funnel: Funnel) -> str:
    """The text with placeholders for personal data, counted by kind."""
    text, found = personal_data.mask(text, limits.personal_data)
    if found:
        funnel.change("personal_data")
        funnel.counts.update({f"masked_{kind}": count for kind, count in found.items()})
    return text


# --- conversations ----------------------------------------------------------------------------------------------------


def conversations(records: Sequence[Mapping[str, Any]], limits: Limits, funnel: Funnel) -> list[dict[str, Any]]:
    """Clean a batch of conversations; returns those that can be learned from, with their messages repaired and masked.

    A conversation is an optional system message, then user and assistant in turn, with the assistant last. Markup,
    language and style of messages are not changed. An empty system message is none; from an empty turn on, a conversation
    is cut off, if a whole turn is before it.
    """
    funnel.counts["read"] += len(records)
    repaired = [(record, messages := repaired_messages(record["messages"]), joined(messages)) for record in records]
    replies = ["\n".join(m["content"] for m in messages if m["role"] == "assistant") for _, messages, _ in repaired]
    kept = []
    for (record, messages, text), row in zip(repaired, measures.measure(replies), strict=True):
        if len(messages) < sum(m["role"] != "system" for m in record["messages"]):
            funnel.change("empty")
        measured = dict(zip(measures.MEASURES, row.tolist(), strict=True))
        if verdict := unusable(messages, text, measured, limits.of_source(record["source"])):
            step, reason, value = verdict
            funnel.drop(step, record, text, reason, value)
            continue
        if personal_data.mask(text, limits.personal_data)[1]:
            changed = funnel.counts["changed_personal_data"] + 1
            messages = [{**m, "content": masked(m["content"], limits, funnel)} for m in messages]
            funnel.counts["changed_personal_data"] = changed  # of conversations, not of messages
        if limits.simplified:
            messages = [{**m, "content": simplified(m["content"])} for m in messages]
        kept.append({**record, "messages": messages})
    funnel.counts["kept"] += len(kept)
    return kept


def repaired_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    contents = [m["content"] or "" for m in messages]
    whole = "\n".join(contents)
    if encodings.mend(whole) != whole:  # one call for a conversation: nearly all are right
        contents = [encodings.mend(content) for content in contents]
    repaired = [{"role": m["role"], "content": repair(text)} for m, text in zip(messages, contents, strict=True)]
    repaired = [m for m in repaired if m["role"] != "system" or says_something(m["content"])]
    return before_empty([m if says_something(m["content"]) else {**m, "content": ""} for m in repaired])


def before_empty(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The turns before the first empty message, if they end with a reply; else all messages."""
    empty = next((number for number, m in enumerate(messages) if not m["content"]), None)
    if empty is None:
        return messages
    while empty and messages[empty - 1]["role"] != "assistant":
        empty -= 1
    return messages[:empty] or messages


_BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols that show nothing


def says_something(text: str) -> bool:
    """Whether there is anything to see in a text: more than white space, controls and marks on nothing."""
    return any(unicodedata.category(c)[0] not in "ZCM" and c not in _BLANK for c in text)


def joined(messages: Sequence[Mapping[str, str]]) -> str:
    return "\n".join(f"{m['role']}: {m['content']}" for m in messages)


def unusable(
    messages: Sequence[Mapping[str, str]], text: str, replies: Mapping[str, float], limits: Limits
) -> tuple[str, str, float] | None:
    """(step, reason, value) of the first step that drops a conversation; None if it stays.

    text: all messages. replies: the measures of what the assistant says.
    """
    roles = [m["role"] for m in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or turns != ["user", "assistant"] * (len(turns) // 2):
        return "roles", " ".join(roles)[:80], len(roles)
    if empty := [number for number, m in enumerate(messages, 1) if not m["content"]]:
        return "empty", f"message {empty[0]}", empty[0]
    if encodings.broken(text):
        return "encoding", "garbled", 0.0
    if cut_short(messages[-1]["content"]):
        return "cut", "the last reply breaks off", len(messages[-1]["content"])
    if replies["characters"] >= LISTED_CHARS:
        for measure, limit in (
            ("repeated_ngrams", limits.max_repeated_ngrams),
            ("repeated_lines", limits.max_repeated_lines),
            ("longest_run", limits.max_longest_run),
        ):
            if replies[measure] > limit:
                return "repetition", measure, replies[measure]
    return None


_UNFINISHED = re.compile(r"[，、：,（(《“]$")
_LIST_ITEM = re.compile(r"\s*(?:[-*+•·|>#]|\d+[.、)）]|[（(]?[一二三四五六七八九十\d]+[)）、.])")


def cut_short(reply: str) -> bool:
    """Whether a reply breaks off: an open code fence, a comma at its end, or a long last sentence without an end.

    Items of lists, code, links and short replies may end in any way.
    """
    if reply.count("```") % 2:
        return True
    if len(reply) < CUT_CHARS or reply.endswith("```"):
        return False
    if _UNFINISHED.search(reply):
        return True
    last = reply.rstrip().rpartition("\n")[2]
    sentence = re.split("[。！？!?；]", last)[-1]
    prose = sum("\u4e00" <= c <= "\u9fff" for c in sentence)
    running = len(re.findall("[。！？]", reply)) >= 2 and reply.count("\n") <= len(reply) / 60
    return (
        running
        and "#" not in sentence
        and not _LIST_ITEM.match(last)
        and prose >= 12
        and "\u4e00" <= reply[-1] <= "\u9fff"
    )


# --- distributions ----------------------------------------------------------------------------------------------------

LENGTHS = [0, *(2**power for power in range(4, 21))]  # characters: the last bin is open
BITS = [step / 4 for step in range(21)]  # bits per byte


def histograms(records: Iterable[Mapping[str, Any]]) -> Histograms:
    """How many documents of each source fall into each bin of LENGTHS and of BITS."""
    found: Histograms = {"length": {}, "bits": {}}
    for record in records:
        for name, edges, value in (
            ("length", LENGTHS, len(record["text"])),
            ("bits", BITS, -record["quality"]),
        ):
            counts = found[name].setdefault(record["source"], [0] * len(edges))
            counts[int(np.searchsorted(edges, value, side="right")) - 1] += 1
    return found


def add_histograms(total: Histograms, more: Histograms) -> None:
    for name, by_source in more.items():
        for source, counts in by_source.items():
            summed = total.setdefault(name, {}).setdefault(source, [0] * len(counts))
            total[name][source] = [a + b for a, b in zip(summed, counts, strict=True)]
