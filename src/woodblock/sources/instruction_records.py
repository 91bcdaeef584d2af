"""Instructions: turn records of many shapes, and ChatterBot's dialogues, into conversations of user and assistant."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from woodblock.run.settings.sources import Source
from woodblock.sources import archives
from woodblock.sources.decoding import decode
from woodblock.sources.inspection import Row, Rows, Tally, each, encodable, fields_of, first_given, its_keys
from woodblock.sources.known_files import Fetched
from woodblock.sources.records import BadRecord
from woodblock.sources.turns import Message, message, messages_of, well_formed, without_reasoning

_CONVERSATIONS = ("messages", "conversations", "conversation", "dialogue")
_PROMPTS = ("prompt", "query", "question", "instruction", "input")
_RESPONSES = ("response", "answer", "output", "completion", "target", "reply")


def conversations(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Rows:
    """Yield the messages of each record, in any of the shapes that data sets have (`reading` and `turns` list them)."""

    def row(record: Any) -> Row | None:
        fields = fields_of(record)
        name = first_given(fields, _CONVERSATIONS)
        messages = messages_of(fields[name], tally) if name else _pair(fields, record, tally)
        if messages is None:
            return None
        system = fields.get("system")
        if isinstance(system, str) and system.strip() and not (messages and messages[0]["role"] == "system"):
            messages = [message("system", system), *messages]
        messages = [{**one, "content": encodable(one["content"], tally)} for one in messages]
        conversation = well_formed(messages, tally)
        return {"messages": conversation} if conversation else None

    yield from each(source, fetched, tally, work, row)


def _pair(fields: dict[str, Any], record: dict[str, Any], tally: Tally) -> list[Message] | None:
    """The messages of a record with a prompt, a response and perhaps a history of earlier turns; None as `messages_of`."""
    asked = next((name for name in _PROMPTS if name in fields), None)
    replied = next((name for name in _RESPONSES if name in fields), None)
    if asked is None or replied is None:
        raise BadRecord(
            f"the record has no conversations, and no prompt with a response, {its_keys(record)}",
            "name its columns under columns in params.yaml",
        )
    prompt, response = fields[asked], fields[replied]
    if isinstance(prompt, list) and isinstance(response, list):
        return messages_of([*prompt, *response], tally)
    more = fields.get("input") if asked != "input" else None
    for name, value in ((asked, prompt), (replied, response), ("input", more)):
        if not isinstance(value, str | None):
            raise BadRecord(f"{name} is a {type(value).__name__}, not text", "correct or remove the record")
    prompt = "\n".join(str(part) for part in (prompt, more) if part)
    reply, thought = without_reasoning(response or "")
    if thought:
        tally.mended["reasoning"] += 1
    return [*_history(fields.get("history")), message("user", prompt), message("assistant", reply)]


def _history(pairs: Any) -> list[Message]:
    messages: list[Message] = []
    for pair in pairs or []:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise BadRecord("history is not a list of [prompt, response]", "correct or remove the record")
        messages += [message("user", pair[0]), message("assistant", pair[1])]
    return messages


def dialogues(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Rows:
    """Conversations of ChatterBot's corpus: YAML files with a list of conversations, each a list of turns."""
    with closing(archives.members(fetched, source.url, source.member, (".yml", ".yaml"), tally.skipped)) as members:
        for member in members:
            tally.formats.add("dialogues")
            try:
                # The base loader keeps scalars as they are written: "1" and "yes" are utterances here.
                content = yaml.load(decode(member.stream.read()), Loader=yaml.BaseLoader)
            except (yaml.YAMLError, ValueError, RecursionError) as error:
                line = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
                bad = BadRecord("not valid YAML", "correct the file, or name another member")
                tally.refuse(f"{member.where}{line}", bad)
                continue
            if not isinstance(content, dict) or not isinstance(content.get("conversations"), list):
                tally.refuse(
                    member.where, BadRecord("contains no conversations", "name a member in ChatterBot's format")
                )
                continue
            for turns in content["conversations"]:
                tally.read += 1
                if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
                    tally.dropped["not_text"] += 1
                    continue
                messages = [
                    {"role": ("user", "assistant")[i % 2], "content": encodable(turn, tally)}
                    for i, turn in enumerate(turns)
                ]
                if conversation := well_formed(messages, tally):
                    yield {"messages": conversation}
