"""Duplicate conversations: what conversations are compared by, and which of them stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from woodblock.duplicates.shelf import NONE, Columns, Shelf, write_columns
from woodblock.tables import parquet
from woodblock.tables.texts import fingerprint

# A whole reply ends with one of these: the end of a sentence, or of a quotation, a bracket, code, a table.
ENDS = tuple("。！？…；.!?;”’』」）)】]》>}`|~")


def sketch_conversations(part: Path, folder: Path) -> int:
    """Write what conversations are compared by: hashes of all that stands before the last reply and of all messages, whether
    the last reply is whole, and the length of the replies. Returns their number."""
    prompts, pairs, whole, lengths = [], [], [], []
    for record in parquet.stream_part(part, ["messages"]):
        messages = record["messages"]
        prompts.append(said(messages[: last_reply(messages)]))
        pairs.append(said(messages))
        replies = [message["content"] for message in messages if message["role"] == "assistant"]
        whole.append(bool(replies) and replies[-1].endswith(ENDS))
        lengths.append(sum(map(len, replies)))
    write_columns(
        folder,
        {
            "prompts": np.array(prompts, dtype=np.uint64),
            "pairs": np.array(pairs, dtype=np.uint64),
            "whole": np.array(whole, dtype=np.bool_),
            "lengths": np.array(lengths, dtype=np.uint32),
        },
    )
    return len(prompts)


def last_reply(messages: Sequence[Mapping[str, str]]) -> int:
    """The place of the last reply; without one, the number of messages.

    All that stands before it is its prompt: the system message, earlier turns, results of tools. A chat that opens like
    another one (你好) and then speaks of something else has another prompt.
    """
    return next((n for n in reversed(range(len(messages))) if messages[n]["role"] == "assistant"), len(messages))


def said(messages: Sequence[Mapping[str, str]]) -> int:
    """64 bits that are the same for two lists of messages only if these differ at most in white space. (Punctuation counts:
    2-1 and 2+1 are two questions.)
    """
    text = "\0".join(f"{message['role']}\0{''.join(message['content'].split())}" for message in messages)
    return int.from_bytes(fingerprint(text)[:8], "big")


def compare_conversations(shelf: Shelf) -> Columns:
    """The fate of each conversation: `original`, as for documents, and `by_prompt` (bool: only the prompt is the same).

    Of conversations with the same messages the first stays. Then, of those in which all is the same but the last reply, the
    best stays: first choice is one whose last reply ends like a sentence, then the one with the longest reply.
    Memory: 21 bytes a conversation, and 24 more while they are sorted.
    """
    prompts, pairs = shelf.column("prompts", np.uint64), shelf.column("pairs", np.uint64)
    whole, lengths = shelf.column("whole", np.bool_), shelf.column("lengths", np.uint32).astype(np.int64)
    places = np.arange(len(shelf))
    original = first_of_each(pairs, places)
    left = np.flatnonzero(original == NONE)
    best = np.lexsort((left, -lengths[left], ~whole[left]))
    left = left[best]
    of_prompt = first_of_each(prompts[left], left)
    by_prompt = np.zeros(len(shelf), dtype=np.bool_)
    by_prompt[left[of_prompt != NONE]] = True
    original[left] = of_prompt
    return {"original": original, "by_prompt": by_prompt}


def first_of_each(keys: npt.NDArray[np.uint64], places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """[n]: for each value with the key of an earlier one, the place of the first with this key; NONE for the first."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    original = places[first][inverse].astype(np.uint32)
    original[first] = NONE
    return original
