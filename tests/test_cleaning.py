"""Cleaning repairs once and for all, counts what it drops, and lets no validation line into training."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import clean
from woodblock import cleaning, tables
from woodblock.errors import UserError

ODD = "-=_*~— \t\n\r　\u00a0\u1680\u2003\u200b\ufeff\u00ad\u0301\u3099e中かx“《（\x00\x85\x1c\u2581\u2028가\u1100\u1161"
TEXTS = st.one_of(st.text(alphabet=ODD, max_size=14), st.text(alphabet=st.characters(exclude_categories=["Cs"])))


@given(TEXTS)
@example("e\u200b\u0301")  # an accent that meets its letter only when what stood between is gone
@example("　----")
@example("----　\n文")
@example("文\n----\n　----")
def test_repair_changes_nothing_twice_and_gives_nfc(text):
    once = cleaning.repair(text)
    assert cleaning.repair(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert not cleaning.INVISIBLE.search(once) and "\u2581" not in once and "\r" not in once


def test_repair_keeps_what_authors_wrote_and_drops_what_machines_put_there():
    text = "　　第一条　为了保护环境，制定本法！\r\n\r\n\r\n\r\n———————\n"
    text += "\ufeff　　“公民”\u200b是１００人。\u2003 \n  code\n    more"
    assert cleaning.repair(text) == "第一条　为了保护环境，制定本法！\n\n“公民”是１００人。\n  code\n    more"
    assert cleaning.repair("cafe\u0301") == "caf\u00e9"
    assert cleaning.repair("一\n--\n二") == "一\n--\n二"  # a short dash is text, four are a rule


def test_a_run_of_spaces_takes_time_in_proportion_to_its_length():
    text = "甲" + " " * 200_000 + "乙"
    assert cleaning.repair(text) == text


def test_broken_text_is_known_by_its_marks():
    assert cleaning.broken("锟斤拷\ufffd") and cleaning.broken("\ue000字")
    assert not cleaning.broken("字" * 2000 + "\ufffd")
    assert not cleaning.broken("")


def test_the_funnel_counts_each_record_under_one_cause():
    funnel = cleaning.Funnel()
    texts = ["为了保护环境。", "为了保护环境。", "", "短", "\ufffd\ufffd字字字字", "又一份文件，不同的。"]
    kept = [text for text in texts if funnel.keep(text, min_chars=4)]
    funnel.drop("roles")
    assert kept == [texts[0], texts[5]]
    dropped = {f"dropped_{cause}": 1 for cause in ("duplicate", "empty", "short", "broken", "roles")}
    assert dict(funnel.counts) == {"read": 7, "kept": 2, **dropped}


def test_a_dropped_text_does_not_make_the_next_one_a_duplicate():
    funnel = cleaning.Funnel()
    assert not funnel.keep("短", min_chars=4)
    assert funnel.keep("短", min_chars=1)


def test_a_key_decides_what_is_a_duplicate():
    funnel = cleaning.Funnel()
    assert funnel.keep("本法自公布之日起施行。", key="甲法")
    assert funnel.keep("本法自公布之日起施行。", key="乙法")
    assert not funnel.keep("别的文字。", key="乙法")


@pytest.mark.parametrize("share", [0.05, 0.16, 0.5])
def test_held_out_share_is_about_right_and_depends_on_the_name_alone(share):
    names = [f"中华人民共和国第{i}号法" for i in range(4000)]
    held = [cleaning.held_out(name, share) for name in names]
    assert abs(sum(held) / len(held) - share) < 4 * (share * (1 - share) / len(held)) ** 0.5
    assert held == [cleaning.held_out(name, share) for name in names]
    # A larger share holds out the same groups and more: changing it moves no group to and fro.
    assert all(cleaning.held_out(name, 0.6) for name, is_held in zip(names, held, strict=True) if is_held)


@pytest.mark.parametrize(
    ("roles", "cause"),
    [
        ("user assistant", None),
        ("system user assistant user assistant", None),
        ("user", "roles"),
        ("user assistant user", "roles"),
        ("assistant user", "roles"),
        ("user user assistant assistant", "roles"),
        ("system", "roles"),
        ("user system assistant", "roles"),
        ("human gpt", "roles"),
        ("", "roles"),
    ],
)
def test_roles_of_a_conversation(roles, cause):
    messages = [{"role": role, "content": f"第{n}句"} for n, role in enumerate(roles.split())]
    repaired, why = cleaning.conversation(messages)
    assert why == (cause or "")
    assert (repaired is None) == (cause is not None)


def test_a_conversation_with_an_empty_message_is_dropped_and_others_are_repaired():
    said = [{"role": "user", "content": "你好\r\n"}, {"role": "assistant", "content": "\u200b"}]
    assert cleaning.conversation(said) == (None, "empty")
    assert cleaning.conversation([said[0], {"role": "assistant", "content": None}]) == (None, "empty")
    said[1]["content"] = "\ufeff好。"
    assert cleaning.conversation(said)[0] == [
        {"role": "user", "content": "你好"},
        {"role": "assistant", "content": "好。"},
    ]


def records(texts: dict[str, str]) -> list[dict[str, str]]:
    return [{"id": f"{n}", "group": g, "source": "试", "title": g, "text": t} for n, (g, t) in enumerate(texts.items())]


SHARED = "　　国务院有关部门应当按照各自的职责做好本条所说的这项工作。"


@pytest.fixture
def corpus(tmp_path):
    """Sixty laws, each with an article of its own and one that all share word by word."""
    texts = {f"第{n}法": f"第{n}法\n　　第一条　{'甲乙丙丁'[n % 4] * 30}，编号{n}。\n{SHARED}" for n in range(60)}
    tables.write(tmp_path / "raw", records(texts), tables.CORPUS)
    return tmp_path


def test_no_validation_line_is_in_training(corpus):
    counts = clean.clean_corpus(corpus / "raw", corpus / "train", corpus / "validation", 10, 0.3)
    train, validation = tables.read(corpus / "train"), tables.read(corpus / "validation")
    assert len(train) and len(validation) and len(train) + len(validation) == 60
    assert not set(train["group"]) & set(validation["group"])
    assert all(cleaning.held_out(group, 0.3) for group in validation["group"])
    held_out = {line for text in validation["text"] for line in cleaning.long_lines(text)}
    trained = {line for text in train["text"] for line in cleaning.long_lines(text)}
    assert SHARED.strip() in held_out and not held_out & trained
    assert counts["train_lines_removed"] == len(train)
    assert counts["train_chars"] == train["text"].str.len().sum()
    assert counts["validation_chars"] == validation["text"].str.len().sum()
    assert (counts["train_documents"], counts["validation_documents"]) == (len(train), len(validation))
    assert all(cleaning.repair(text) == text for text in [*train["text"], *validation["text"]])


def test_a_document_that_stands_in_both_splits_is_dropped_from_one(tmp_path):
    groups = [f"第{n}法" for n in range(40)]
    short = "一二三四五六七八九十。\n十九八七六五四三二一。"  # no line is long enough to be removed by itself
    texts = {group: short for group in groups}
    texts |= {f"别{n}": f"又一份文件，编号是{n}。" for n in range(40)}
    tables.write(tmp_path / "raw", records(texts), tables.CORPUS)
    counts = clean.clean_corpus(tmp_path / "raw", tmp_path / "train", tmp_path / "validation", 5, 0.5)
    assert counts["dropped_duplicate"] == 39
    both = [*tables.read(tmp_path / "train")["text"], *tables.read(tmp_path / "validation")["text"]]
    assert both.count(short) == 1


@pytest.mark.parametrize(("text", "share", "split"), [("", 0.3, "train"), ("文" * 30, 1e-9, "validation")])
def test_an_empty_split_is_one_line_that_says_why(tmp_path, text, share, split):
    tables.write(tmp_path / "raw", records({"甲": text, "乙": text[::2]}), tables.CORPUS)
    with pytest.raises(UserError, match=f"the {split} split is empty: 2 documents read") as error:
        clean.clean_corpus(tmp_path / "raw", tmp_path / "train", tmp_path / "validation", 10, share)
    assert "\n" not in str(error.value) and "clean.min_chars" in str(error.value)


def test_lines_that_go_leave_no_hole():
    lines = {cleaning.fingerprint(SHARED.strip())}
    text = f"标题\n\n{SHARED}\n\n结尾\n{SHARED}"
    assert cleaning.without_lines(text, lines) == ("标题\n\n结尾", 2)
    assert cleaning.without_lines("标题\n短行", lines) == ("标题\n短行", 0)


def test_conversations_are_cleaned_and_counted(tmp_path):
    def talk(*said):
        return [{"role": ["user", "assistant"][n % 2], "content": text} for n, text in enumerate(said)]

    given_records = [
        {"id": "1", "source": "试", "messages": talk("你好", "你好！")},
        {"id": "2", "source": "试", "messages": talk("你好", "你好！")},
        {"id": "3", "source": "试", "messages": talk("你好")},
        {"id": "4", "source": "试", "messages": talk("你好", "再见。")},
    ]
    tables.write(tmp_path / "raw", given_records, tables.INSTRUCTIONS)
    counts = clean.clean_instructions(tmp_path / "raw", tmp_path / "out")
    assert counts == {"read": 4, "kept": 2, "dropped_duplicate": 1, "dropped_roles": 1}
    assert list(tables.read(tmp_path / "out")["id"]) == ["1", "4"]


def test_articles_go_where_their_law_goes(tmp_path):
    laws = [f"中华人民共和国第{n}法" for n in range(30)] + [f"第{n}法修正案（二）" for n in range(30)]
    rows = [
        {"id": f"{law}{n}", "law": law, "chapter": "", "article": f"第{n}条", "number": n, "status": "现行有效"}
        | {"text": "本法自公布之日起施行。"}
        for law in laws
        for n in (1, 2)
    ]
    tables.write(tmp_path / "raw", [*rows, rows[0]], tables.DOCUMENTS)
    counts = clean.clean_documents(tmp_path / "raw", tmp_path / "out", 0.3)
    assert counts["kept"] == 120 and counts["dropped_duplicate"] == 1  # one text in 60 laws is no duplicate
    table = tables.read(tmp_path / "out")
    assert table.groupby("law")["split"].nunique().max() == 1
    side = dict(zip(table["law"], table["split"], strict=True))
    assert counts["validation_laws"] == sum(split == "validation" for split in side.values()) > 0
    # An amendment stands on the side of what it amends.
    assert all(side[f"中华人民共和国第{n}法"] == side[f"第{n}法修正案（二）"] for n in range(30))
