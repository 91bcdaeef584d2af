"""Instructions: turn records of many shapes, and ChatterBot's dialogues, into conversations of user and assistant."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from woodblock.base.errors import UserError
from woodblock.run.settings.sources import Source
from woodblock.sources import archives
from woodblock.sources.inspection import Rows, Tally, encodable, fields_of, first_given, inspected, its_keys
from woodblock.sources.known_files import Fetched

_ROLES = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "system": "system",
}
_CONVERSATIONS = ("messages", "conversations", "conversation", "dialogue")
_PROMPTS = ("prompt", "query", "question", "instruction", "input")
_RESPONSES = ("response", "answer", "output", "completion", "target", "reply")


def conversations(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Rows:
    """Yield the messages of each record, in any of the shapes that data sets have (`reading` lists them)."""
    for where, record in inspected(source, fetched, tally, work):
        fields = fields_of(where, record)
        name = first_given(fields, _CONVERSATIONS)
        messages = _turns(where, fields[name]) if name else _pair(where, fields, record)
        system = fields.get("system")
        if isinstance(system, str) and system.strip() and not (messages and messages[0]["role"] == "system"):
            messages = [_message("system", system), *messages]
        messages = [{**message, "content": encodable(message["content"], tally)} for message in messages]
        if conversation := _well_formed(messages, tally):
            yield {"messages": conversation}


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _turns(where: str, turns: Any) -> list[dict[str, str]]:
    """The messages of a list of turns."""
    if not isinstance(turns, list):
        raise UserError(
            f'{where}: its conversations are not a list; write a record as {{"conversations": [{{"from", "value"}}, …]}}'
        )
    messages: list[dict[str, str]] = []
    for turn in turns:
        if isinstance(turn, dict) and isinstance(turn.get("human"), str) and isinstance(turn.get("assistant"), str):
            messages += [_message("user", turn["human"]), _message("assistant", turn["assistant"])]
            continue
        speaker = turn.get("from", turn.get("role")) if isinstance(turn, dict) else None
        content = turn.get("value", turn.get("content")) if isinstance(turn, dict) else None
        if not isinstance(speaker, str) or speaker.lower() not in _ROLES or not isinstance(content, str):
            raise UserError(
                f'{where}: write turn {len(messages) + 1} as {{"from": "human" or "assistant", "value": "…"}}'
            )
        messages.append(_message(_ROLES[speaker.lower()], content))
    return messages


def _pair(where: str, fields: dict[str, Any], record: dict[str, Any]) -> list[dict[str, str]]:
    """The messages of a record with a prompt, a response and perhaps a history of earlier turns."""
    asked = next((name for name in _PROMPTS if name in fields), None)
    replied = next((name for name in _RESPONSES if name in fields), None)
    if asked is None or replied is None:
        raise UserError(
            f"{where}: the record has no conversations, and no prompt with a response, {its_keys(record)}; "
            "name its columns under columns in params.yaml"
        )
    prompt, response = fields[asked], fields[replied]
    if isinstance(prompt, list) and isinstance(response, list):
        return [*_turns(where, prompt), *_turns(where, response)]
    more = fields.get("input") if asked != "input" else None
    for name, value in ((asked, prompt), (replied, response), ("input", more)):
        if not isinstance(value, str | None):
            raise UserError(f"{where}: {name} is a {type(value).__name__}, not text; correct or remove the record")
    prompt = "\n".join(str(part) for part in (prompt, more) if part)
    return [*_history(where, fields.get("history")), _message("user", prompt), _message("assistant", response or "")]


def _history(where: str, pairs: Any) -> list[dict[str, str]]:
    messages: list[dict[str, str]] = []
    for pair in pairs or []:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise UserError(f"{where}: history is not a list of [prompt, response]; correct or remove the record")
        messages += [_message("user", pair[0]), _message("assistant", pair[1])]
    return messages


def dialogues(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Rows:
    """Conversations of ChatterBot's corpus: YAML files with a list of conversations, each a list of turns."""
    with closing(archives.members(fetched, source.url, source.member, (".yml", ".yaml"))) as members:
        for member in members:
            tally.formats.add("dialogues")
            try:
                # The base loader keeps scalars as they are written: "1" and "yes" are utterances here.
                content = yaml.load(member.stream.read(), Loader=yaml.BaseLoader)
            except (yaml.YAMLError, ValueError, RecursionError) as error:
                line = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
                raise UserError(
                    f"{member.where}{line}: not valid YAML; correct the file, or name another member"
                ) from None
            if not isinstance(content, dict) or not isinstance(content.get("conversations"), list):
                raise UserError(f"{member.where}: contains no conversations; name a member in ChatterBot's format")
            for turns in content["conversations"]:
                if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
                    tally.dropped["not_text"] += 1
                    continue
                messages = [
                    {"role": ("user", "assistant")[i % 2], "content": encodable(turn, tally)}
                    for i, turn in enumerate(turns)
                ]
                if conversation := _well_formed(messages, tally):
                    yield {"messages": conversation}


def _well_formed(messages: list[dict[str, str]], tally: Tally) -> list[dict[str, str]] | None:
    """The conversation without a last question that has no answer; None, counted by cause, if it cannot be learned from.

    What is left is [system,] user, assistant, user, assistant …: the order that a chat template needs.
    """
    head = 1 if messages and messages[0]["role"] == "system" else 0
    if any(m["role"] != ("user", "assistant")[i % 2] for i, m in enumerate(messages[head:])):
        tally.dropped["turns_out_of_order"] += 1
        return None
    whole = len(messages)
    if whole > head and messages[-1]["role"] == "user":
        messages = messages[:-1]
    if len(messages) == head:
        tally.dropped["no_reply"] += 1
        return None
    if any(not m["content"].strip() for m in messages[head:]):
        tally.dropped["empty_turn"] += 1
        return None
    tally.mended["trailing_questions"] += whole - len(messages)
    return messages
