"""Turns: the messages of a chat record, in the forms that data sets have, as text by user, assistant and system.

The chat template holds text of these three speakers and nothing else. So this is what becomes of the rest:

| what | what becomes of it |
|---|---|
| parts, `content: [{"type": "text", …}]` | the texts are joined |
| a picture, a sound or a file among the parts | the conversation is dropped: not_only_text |
| reasoning (`reasoning_content`, `<think>…</think>`) | the reply is kept without it: mended, reasoning |
| a call of a tool, and what the tool observed | the conversation ends before the question: mended, cut_before_tool. |
| | If nothing stands before, it is dropped: tool_call |
| two turns of one speaker in a row | they are joined by a line break: mended, joined_turns |
| a speaker of another name | the conversation is dropped: unknown_speaker |
"""

from __future__ import annotations

import re
from typing import Any

from woodblock.sources.inspection import Tally
from woodblock.sources.records import BadRecord

Message = dict[str, str]

USER, ASSISTANT, SYSTEM, TOOL = "user", "assistant", "system", "tool"
_SPEAKERS = {
    USER: "user human prompter client customer 用户 人类 问",
    ASSISTANT: "assistant gpt chatgpt bot model ai chatbot bing bard claude qwen deepseek glm 助手 答",
    SYSTEM: "system developer 系统",
    TOOL: "tool tools function functions observation observations function_call function_calls function_response "
    "function_result tool_call tool_calls tool_response tool_result tool_results ipython environment 工具",
}
_ROLES = {name: role for role, names in _SPEAKERS.items() for name in names.split()}
_SPEAKER_KEYS = ("from", "role", "speaker", "author")
_CONTENT_KEYS = ("value", "content", "text", "parts")
_CALL_KEYS = ("tool_calls", "function_call", "tool_call", "tool_call_id")
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking", "thought")
_TEXT_PARTS = ("text", "input_text", "output_text")
_REASONING_PARTS = ("reasoning", "thinking", "redacted_thinking", "think", "reasoning_text")
_CALL_PARTS = (
    "tool_use",
    "tool_result",
    "tool_call",
    "tool_calls",
    "function_call",
    "tool_response",
    "server_tool_use",
)
_THOUGHT = re.compile(r"\A\s*<(think|thinking|thought|reasoning)>.*?(?:</\1>\s*|\Z)", re.DOTALL)
_END_OF_THOUGHT = re.compile(r"\A(?:(?!<think>).)*?</think>[ \t]*\n\s*", re.DOTALL)
_CALL = re.compile(
    r"\A\s*(?:<tool_call>|<function_call>|<\|tool_calls?(?:_begin|_start)?\|>|<｜tool▁calls▁begin｜>|✿FUNCTION✿)"
)


class _NotOnlyText(Exception):
    """A message holds a picture, a sound or a file."""


def messages_of(turns: Any, tally: Tally) -> list[Message] | None:
    """The messages of a list of turns; None, counted by cause, for a conversation that is not of text or has an unknown
    speaker. A message of the role "tool" stands for every call and observation, without their text.

    Raises BadRecord for what is no list of turns.
    """
    if isinstance(turns, str):
        turns = _chatml(turns)
    if not isinstance(turns, list):
        raise BadRecord(
            "its conversations are not a list", 'write a record as {"conversations": [{"from", "value"}, …]}'
        )
    found: list[Message] = []
    thoughts = 0
    for number, turn in enumerate(turns, start=1):
        if isinstance(turn, dict) and isinstance(turn.get("human"), str) and isinstance(turn.get("assistant"), str):
            found += [message(USER, turn["human"]), message(ASSISTANT, turn["assistant"])]
            continue
        speaker = _first(turn, _SPEAKER_KEYS)
        if isinstance(speaker, dict):  # {"author": {"role": "user"}}
            speaker = speaker.get("role")
        if not isinstance(speaker, str):
            raise _no_turn(number)
        role = _ROLES.get(_plain(speaker))
        if role is None:
            tally.dropped["unknown_speaker"] += 1
            return None
        try:
            text, has_call, has_thought = _content(turn, number)
        except _NotOnlyText:
            tally.dropped["not_only_text"] += 1
            return None
        if role == ASSISTANT:
            text, thought = without_reasoning(text)
            thoughts += int(has_thought or thought)
            has_call = has_call or bool(_CALL.match(text))
        found.append(message(TOOL if has_call else role, "" if has_call else text))
    _count(tally, reasoning=thoughts)
    return found


def message(role: str, content: str) -> Message:
    """A message in the form of the chat template."""
    return {"role": role, "content": content}


def without_reasoning(text: str) -> tuple[str, bool]:
    """A reply without the reasoning at its beginning, and whether it had any.

    A reasoning that does not end is the whole reply. One that has an end and no beginning, as templates of DeepSeek leave
    it, ends with the line of its end.
    """
    found = _THOUGHT.match(text) or ("</think>" in text and _END_OF_THOUGHT.match(text))
    return (text[found.end() :], bool(found[0].strip())) if found else (text, False)


def well_formed(messages: list[Message], tally: Tally) -> list[Message] | None:
    """The conversation without a last question that has no answer; None, counted by cause, if it cannot be learned from.

    What is left is [system,] user, assistant, user, assistant …: the order that a chat template needs. It ends before the
    first question that a tool had a part in answering.
    """
    messages, joined = _joined(messages)
    head = 1 if messages and messages[0]["role"] == SYSTEM else 0
    if head and not messages[0]["content"].strip():  # an empty system message is none
        messages, head = messages[1:], 0
    place = next((i for i, m in enumerate(messages) if m["role"] == TOOL), None)
    if place is not None:
        messages = messages[:place]
        while messages and messages[-1]["role"] != ASSISTANT:
            messages.pop()
        if len(messages) <= head:
            tally.dropped["tool_call"] += 1
            return None
    if any(m["role"] != (USER, ASSISTANT)[i % 2] for i, m in enumerate(messages[head:])):
        tally.dropped["turns_out_of_order"] += 1
        return None
    whole = len(messages)
    if whole > head and messages[-1]["role"] == USER:
        messages = messages[:-1]
    if len(messages) == head:
        tally.dropped["no_reply"] += 1
        return None
    if any(not m["content"].strip() for m in messages[head:]):
        tally.dropped["empty_turn"] += 1
        return None
    _count(tally, trailing_questions=whole - len(messages), cut_before_tool=int(place is not None), joined_turns=joined)
    return messages


def _count(tally: Tally, **mended: int) -> None:
    tally.mended.update({cause: count for cause, count in mended.items() if count})


def _joined(messages: list[Message]) -> tuple[list[Message], int]:
    """The messages with those of one speaker in a row as one, and how many were added to one before."""
    found: list[Message] = []
    for one in messages:
        if found and found[-1]["role"] == one["role"]:
            parts = (part for part in (found[-1]["content"], one["content"]) if part.strip())
            found[-1] = message(one["role"], "\n".join(parts))
        else:
            found.append(one)
    return found, len(messages) - len(found)


def _plain(speaker: str) -> str:
    """The name of a speaker without the marks of a template: <|im_start|>user, <|user|>, [USER], User:."""
    return re.sub(r"<\|im_start\|>|[<|>\[\]:：#*\s]", "", speaker).lower()


def _first(turn: Any, keys: tuple[str, ...]) -> Any:
    """The value of the first of the keys that a turn has."""
    if not isinstance(turn, dict):
        return None
    return next((turn[key] for key in keys if turn.get(key) is not None), None)


def _content(turn: dict[str, Any], number: int) -> tuple[str, bool, bool]:
    """(text, whether it calls a tool, whether it has reasoning) of a turn."""
    has_call = any(turn.get(key) for key in _CALL_KEYS)
    has_thought = any(turn.get(key) for key in _REASONING_KEYS)
    content = _first(turn, _CONTENT_KEYS)
    if content is None:
        if not has_call and not any(key in turn for key in (*_CONTENT_KEYS, *_REASONING_KEYS)):
            raise _no_turn(number)
        return "", has_call, has_thought
    if isinstance(content, str):
        return content, has_call, has_thought
    texts, call, thought = _parts(content, number)
    return "\n".join(texts), has_call or call, has_thought or thought


def _parts(content: Any, number: int) -> tuple[list[str], bool, bool]:
    """(texts, whether a tool is called, whether there is reasoning) of content in parts."""
    if isinstance(content, dict):
        content = content.get("parts") if isinstance(content.get("parts"), list) else [content]
    if not isinstance(content, list):
        raise _no_turn(number)
    texts, call, thought = [], False, False
    for part in content:
        kind = (
            part.get("type", "text" if isinstance(part.get("text"), str) else None) if isinstance(part, dict) else None
        )
        if isinstance(part, str):
            texts.append(part)
        elif kind in _TEXT_PARTS and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind in _REASONING_PARTS:
            thought = True
        elif kind in _CALL_PARTS:
            call = True
        elif isinstance(part, dict):
            raise _NotOnlyText
        elif part is not None:
            raise _no_turn(number)
    return [text for text in texts if text], call, thought


def _chatml(text: str) -> list[dict[str, str]] | str:
    """The turns of a conversation that is written out as ChatML; other text as it is."""
    found = re.findall(r"<\|im_start\|>(\w+)[ \t]*\n(.*?)(?:<\|im_end\|>|\Z)", text, re.DOTALL)
    return [{"role": role, "content": content.strip("\n")} for role, content in found] or text


def _no_turn(number: int) -> BadRecord:
    return BadRecord(
        f"turn {number} has no speaker or no text", 'write it as {"from": "human" or "assistant", "value": "…"}'
    )
