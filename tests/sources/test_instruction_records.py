"""Instructions: records of the shapes that hubs hold, and dialogues, become conversations, or are dropped and counted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.packed_files import json_lines, packed, put, read

from woodblock.base.errors import UserError
from woodblock.sources import turns as turns_module
from woodblock.sources.inspection import Tally


def turns(*contents: str, roles: tuple[str, str] = ("human", "assistant")) -> list[dict]:
    return [{"from": roles[i % 2], "value": content} for i, content in enumerate(contents)]


def test_conversations_become_messages_and_drops_are_counted(tmp_path):
    tally = Tally()
    records = [
        {"id": "1", "conversations": turns("问", "答", "再问", "再答")},
        {"conversations": turns("问", "答", "没有人回答")},
        {"messages": [{"role": "system", "content": "系统"}, {"role": "user", "content": "问"}]},
        {"messages": [{"role": r, "content": r} for r in ("system", "user", "assistant")]},
        {"conversations": turns("答", "问", roles=("assistant", "human"))},
        {"conversations": turns("问", " \n")},
        {"conversations": []},
    ]
    rows = read(put(tmp_path, "belle.json", json_lines(*records)), "instructions", tally)
    assert [[m["content"] for m in row["messages"]] for row in rows] == [
        ["问", "答", "再问", "再答"],
        ["问", "答"],
        ["system", "user", "assistant"],
    ]
    assert [m["role"] for m in rows[0]["messages"]] == ["user", "assistant"] * 2
    assert [row["id"] for row in rows] == ["belle-1", "belle-2", "belle-3"]
    assert tally.dropped == {"no_reply": 2, "turns_out_of_order": 1, "empty_turn": 1}
    assert tally.mended == {"trailing_questions": 1}


Q_A = [("user", "问"), ("assistant", "答")]
SHAPES = [
    ({"messages": [{"role": "User", "content": "问"}, {"role": "assistant", "content": "答"}]}, Q_A),
    ({"conversation": [{"human": "问", "assistant": "答"}, {"human": "再问", "assistant": "再答"}]}, [*Q_A] * 2),
    (
        {"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}], "system": "系"},
        ["s", *Q_A],
    ),
    ({"instruction": "问", "input": "", "output": "答"}, Q_A),
    ({"instruction": "问", "input": None, "output": "答", "system": ""}, Q_A),
    ({"instruction": "翻译", "input": "甲", "output": "答"}, [("user", "翻译\n甲"), ("assistant", "答")]),
    ({"instruction": "再问", "output": "再答", "history": [["问", "答"]]}, [*Q_A] * 2),
    ({"kind": "NLI", "input": "问", "target": "答"}, Q_A),
    ({"prompt": "问", "response": "答"}, Q_A),
    ({"query": "问", "answer": "答"}, Q_A),
    ({"question": "问", "answer": "答", "id": 3}, Q_A),
    ({"prompt": "问", "completion": "答"}, Q_A),
    ({"INSTRUCTION": "问", "RESPONSE": "答", "SOURCE": "知乎"}, Q_A),
    ({"prompt": [{"role": "user", "content": "问"}], "completion": [{"role": "assistant", "content": "答"}]}, Q_A),
]


@pytest.mark.parametrize(("record", "expected"), SHAPES)
def test_the_shapes_that_hubs_hold_become_messages(tmp_path, record, expected):
    (row,) = read(put(tmp_path, "a.json", json_lines(record)), "instructions")
    messages = [(m["role"], m["content"]) for m in row["messages"]]
    if len(expected) == 4:
        assert [role for role, _ in messages] == ["user", "assistant"] * 2
        assert [content for _, content in messages] == ["问", "答", "再问", "再答"]
    else:
        assert messages == [("system", "系") if turn == "s" else turn for turn in expected]


def test_what_has_no_prompt_is_told_by_its_own_keys(tmp_path):
    with pytest.raises(UserError, match=r"line 1: the record has no conversations, and no .*, but words, n; name its"):
        read(put(tmp_path, "a.jsonl", json_lines({"words": "w", "n": 1})), "instructions")


@pytest.mark.parametrize("history", [["问"], [["问", 1]], "问答"])
def test_a_history_of_another_form_is_an_error(tmp_path, history):
    record = {"instruction": "问", "output": "答", "history": history}
    with pytest.raises(UserError, match="line 1: history is not a list of"):
        read(put(tmp_path, "a.jsonl", json_lines(record)), "instructions")


@pytest.mark.parametrize(
    "record",
    [
        {"text": "t"},
        {"conversations": "t"},
        {"conversations": ["t"]},
        {"conversations": [{"from": "human"}]},
        {"conversations": [{"from": ["human"], "value": "t"}]},
        {"instruction": "t"},
        {"instruction": "t", "output": 3},
        {"prompt": ["t"], "response": "t"},
    ],
)
def test_a_conversation_of_another_form_is_an_error(tmp_path, record):
    with pytest.raises(UserError, match=r"file://a\.json, line 1: "):
        read(put(tmp_path, "a.json", json_lines(record)), "instructions")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), st.sampled_from(["", "t"])), max_size=7
    )
)
def test_whatever_the_turns_a_conversation_is_well_formed_or_dropped(turns):
    tally = Tally()
    kept = turns_module.well_formed([{"role": role, "content": content} for role, content in turns], tally)
    if kept is None:
        assert sum(tally.dropped.values()) >= 1
    else:
        roles = [m["role"] for m in kept if m["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2) and roles
        assert all(m["content"].strip() for m in kept)


def say(role, content, **more):
    return {"role": role, "content": content, **more}


CALL = [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
ASKED, ANSWERED = say("user", "天气？"), say("assistant", "晴。")
PICTURE = {"type": "image_url", "image_url": {"url": "data:"}}
KINDS_OF_TURNS = [
    # what a conversation holds; what is left of it (None: nothing); the cause that is counted
    (
        [ASKED, say("assistant", None, tool_calls=CALL), say("tool", "20", tool_call_id="1"), ANSWERED],
        None,
        "tool_call",
    ),
    (
        [ASKED, say("assistant", "", function_call={"name": "f"}), say("function", "20", name="f"), ANSWERED],
        None,
        "tool_call",
    ),
    (
        [ASKED, ANSWERED, ASKED, say("assistant", None, tool_calls=CALL), say("tool", "2")],
        ["天气？", "晴。"],
        "cut_before_tool",
    ),
    (
        [
            {"from": "human", "value": "问"},
            {"from": "function_call", "value": "{}"},
            {"from": "observation", "value": "2"},
            {"from": "gpt", "value": "答"},
        ],
        None,
        "tool_call",
    ),
    ([ASKED, say("assistant", "<tool_call>\n{}\n</tool_call>"), say("observation", "2"), ANSWERED], None, "tool_call"),
    (
        [
            ASKED,
            say("assistant", [{"type": "tool_use", "name": "f", "input": {}}]),
            say("user", [{"type": "tool_result", "content": "2"}]),
            ANSWERED,
        ],
        None,
        "tool_call",
    ),
    ([ASKED, say("assistant", "晴。", tool_calls=None)], ["天气？", "晴。"], None),
    ([ASKED, say("assistant", "晴。", reasoning_content="想")], ["天气？", "晴。"], "reasoning"),
    ([ASKED, say("assistant", "<think>\n想\n</think>\n\n晴。")], ["天气？", "晴。"], "reasoning"),
    ([ASKED, say("assistant", "想\n</think>\n晴。")], ["天气？", "晴。"], "reasoning"),
    ([ASKED, say("assistant", "<think>没有想完")], None, "empty_turn"),
    (
        [ASKED, say("assistant", [{"type": "thinking", "thinking": "想"}, {"type": "text", "text": "晴。"}])],
        ["天气？", "晴。"],
        "reasoning",
    ),
    ([ASKED, say("assistant", None)], None, "empty_turn"),
    (
        [say("user", [{"type": "text", "text": "天"}, {"type": "text", "text": "气？"}]), ANSWERED],
        ["天\n气？", "晴。"],
        None,
    ),
    ([say("user", {"content_type": "text", "parts": ["天气？"]}), ANSWERED], ["天气？", "晴。"], None),
    ([say("user", [{"type": "text", "text": "看"}, PICTURE]), ANSWERED], None, "not_only_text"),
    (
        [say("user", "你好"), ASKED, ANSWERED, say("assistant", "带伞。")],
        ["你好\n天气？", "晴。\n带伞。"],
        "joined_turns",
    ),
    ([say("developer", "简短"), ASKED, ANSWERED], ["简短", "天气？", "晴。"], None),
    ([say("system", ""), ASKED, ANSWERED], ["天气？", "晴。"], None),
    ([say("<|im_start|>user", "天气？"), say("<|assistant|>", "晴。")], ["天气？", "晴。"], None),
    ([say("critic", "差"), ASKED, ANSWERED], None, "unknown_speaker"),
    ("<|im_start|>user\n天气？<|im_end|>\n<|im_start|>assistant\n晴。<|im_end|>", ["天气？", "晴。"], None),
]


@pytest.mark.parametrize(("conversation", "left", "cause"), KINDS_OF_TURNS)
def test_one_conversation_of_another_kind_does_not_refuse_the_source(tmp_path, conversation, left, cause):
    tally = Tally()
    other = {"messages": [say("user", "问"), say("assistant", "答")]}
    rows = read(put(tmp_path, "a.jsonl", json_lines(other, {"messages": conversation}, other)), "instructions", tally)
    found = [[m["content"] for m in row["messages"]] for row in rows]
    assert found == [["问", "答"], *([left] if left else []), ["问", "答"]]
    counted = tally.mended if left else tally.dropped
    assert (counted[cause] >= 1) if cause else (not +tally.mended and not +tally.dropped)


def test_dialogues_are_read_as_they_are_written(tmp_path):
    tally = Tally()
    text = (
        "categories: [x]\nconversations:\n- [几, 1.0]\n- - 是\n  - yes\n  - 没有人回答\n- [独白]\n- [{a: b}, c]\n- 句\n"
    )
    members = {"d/zh/b.yml": text.encode(), "d/zh/a.yaml": b"conversations:\n- [q, r]\n", "d/en/c.yml": b"not: read"}
    rows = read(
        put(tmp_path, "a.zip", packed("a.zip", members)), "instructions", tally, format="dialogues", member="d/zh/"
    )
    assert [[m["content"] for m in row["messages"]] for row in rows] == [["几", "1.0"], ["是", "yes"], ["q", "r"]]
    assert tally.dropped == {"no_reply": 1, "not_text": 2}
    assert tally.mended == {"trailing_questions": 1}


@pytest.mark.parametrize("text", [b"a: [", b"[]", b"conversations: no", b"\xff\xfe\xff"])
def test_dialogues_of_another_form_are_an_error(tmp_path, text):
    with pytest.raises(UserError, match=r"file://a\.zip \(a\.yml"):
        read(put(tmp_path, "a.zip", packed("a.zip", {"a.yml": text})), "instructions", format="dialogues")
