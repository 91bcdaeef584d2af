"""One row for each question of a benchmark, whatever the shape of its file, and each text that is asked about apart."""

from __future__ import annotations

import csv
import io
import json
from itertools import permutations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from woodblock.base.errors import UserError
from woodblock.run.settings.sources import Source
from woodblock.sources import reading
from woodblock.sources.benchmark_records import Role, role_of
from woodblock.sources.inspection import Tally
from woodblock.sources.known_files import Fetched

Q1, Q2 = "下列关于土地承包经营权的说法中哪一项是正确的", "耕地的承包期一般为多少年才算到期"
A1, A2 = ["不得流转", "可以流转", "永久有效", "没有期限"], ["十年", "二十年", "三十年", "五十年"]
PASSAGE = "国家实行土地承包经营制度，耕地的承包期为三十年，草地的承包期为三十年至五十年。"
BLOCKS = ["\n".join([Q1, *A1]), "\n".join([Q2, *A2])]


def read(tmp_path, name, content, **source):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    tally = Tally()
    given = Source(url=f"file://{name}", licence="x", name="考", **source)
    rows = list(reading.rows(given, Fetched(path, name, "", 0), "benchmarks", tally, tmp_path))
    assert [row["id"] for row in rows] == [f"考-{n}" for n in range(1, len(rows) + 1)]
    return [row["text"] for row in rows], tally


def record(question, choices, **more):
    return {"id": 7, "subject": "土地法与农村经济", "question": question, "choices": choices, "answer": "B", **more}


RECORDS = [record(Q1, A1), record(Q2, A2)]
SHAPES = {
    "lines": "\n".join(json.dumps(one, ensure_ascii=False) for one in RECORDS),
    "list": json.dumps(RECORDS),
    "data": json.dumps({"version": "1.0", "data": RECORDS}, indent=1),
    "splits": json.dumps({"train": RECORDS[:1], "test": RECORDS[1:]}, indent=1),
    "rows": json.dumps(
        {"features": [{"name": "id"}], "rows": [{"row_idx": 0, "row": one} for one in RECORDS]}, indent=1
    ),
    "by id": json.dumps({"q1": RECORDS[0], "q2": RECORDS[1]}, indent=1),
    "by columns": json.dumps({"question": {"0": Q1, "1": Q2}, "choices": {"0": A1, "1": A2}}, indent=1),
    "columns": json.dumps({"question": [Q1, Q2], "choices": [A1, A2], "answer": ["B", "C"]}, indent=1),
    "split": json.dumps({"columns": ["id", "question", "choices"], "data": [[1, Q1, A1], [2, Q2, A2]]}, indent=1),
    "stem": json.dumps(
        [
            {
                "id": "m1",
                "question": {"stem": q, "choices": [{"label": "A", "text": text} for text in a]},
                "answerKey": "A",
            }
            for q, a in ((Q1, A1), (Q2, A2))
        ]
    ),
    "parts": json.dumps([{"question": q, "choices": {"text": a, "label": [*"ABCD"]}} for q, a in ((Q1, A1), (Q2, A2))]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_json_gives_a_row_for_each_question(tmp_path, shape):
    rows, tally = read(tmp_path, "a.jsonl" if shape == "lines" else "a.json", SHAPES[shape])
    assert rows == BLOCKS and not tally.dropped


@pytest.mark.parametrize("order", [*permutations(["", "subject", "Question", "Answer"])])
def test_columns_of_a_table_in_any_order(tmp_path, order):
    cells = [{"": n, "subject": "土地法与农村经济问题", "Question": q, "Answer": "B"} for n, q in enumerate((Q1, Q2))]
    out = io.StringIO()
    writer = csv.DictWriter(out, [*order, "A", "B", "C", "D"])
    writer.writeheader()
    for row, choices in zip(cells, (A1, A2), strict=True):
        writer.writerow(row | dict(zip("ABCD", choices, strict=True)))
    assert read(tmp_path, "a.csv", out.getvalue())[0] == BLOCKS


def test_a_table_without_names_and_one_of_parquet(tmp_path):
    lines = [[Q1 * 2, *A1, "B"], [Q2, *A2, "C"]]
    text = "\n".join(",".join(line) for line in lines)
    assert read(tmp_path, "a.csv", text)[0] == ["\n".join(line[:-1]) for line in lines]
    table = pa.table({"subject": ["法"] * 2, "answer": [1, 2], "choices": [A1, A2], "question": [Q1, Q2]})
    pq.write_table(table, tmp_path / "b.parquet")
    assert read(tmp_path, "b.parquet", (tmp_path / "b.parquet").read_bytes())[0] == BLOCKS


def test_questions_below_a_passage_have_it_each(tmp_path):
    squad = {"version": "1", "data": [{"title": "土地", "paragraphs": [{"context": PASSAGE, "qas": []}]}]}
    squad["data"][0]["paragraphs"][0]["qas"] = [
        {"id": "1", "question": q, "answers": [{"text": "三十年", "answer_start": 21}]} for q in (Q1, Q2)
    ]
    expected = [f"{Q1}\n\n{PASSAGE}", f"{Q2}\n\n{PASSAGE}"]
    assert read(tmp_path, "squad.json", json.dumps(squad))[0] == expected
    assert read(tmp_path, "squad2.json", json.dumps(squad, indent=2))[0] == expected
    c3 = [[[PASSAGE], [{"question": q, "choice": a, "answer": a[0]} for q, a in ((Q1, A1), (Q2, A2))], "m1"]]
    for content in (c3, {"data": c3}):
        assert [row.split("\n\n")[:2] for row in read(tmp_path, "c3.json", json.dumps(content))[0]] == [
            [block, PASSAGE] for block in BLOCKS
        ]
    race = {"answers": ["A", "B"], "article": PASSAGE, "options": [A1, A2], "questions": [Q1, Q2], "id": "m2.txt"}
    assert read(tmp_path, "race.jsonl", json.dumps(race))[0] == [f"{block}\n\n{PASSAGE}" for block in BLOCKS]


def test_sentences_messages_and_plain_lines(tmp_path):
    pairs = [{"id": 1, "sentence1": Q1, "sentence2": Q2, "label": "0", "keywords": "土地,承包,经营,权利,期限"}]
    assert read(tmp_path, "a.json", json.dumps(pairs))[0] == [f"{Q1}\n\n{Q2}"]
    asked = [
        {
            "description": "一个说明这些例子的字段",
            "examples": [{"input": Q1, "target": "甲"}, {"input": Q2, "target": "乙"}],
        }
    ]
    assert [row.split("\n\n")[-1] for row in read(tmp_path, "b.json", json.dumps(asked))[0]] == [Q1, Q2]
    chat = [{"messages": [{"role": "system", "content": "你是助手"}, {"role": "user", "content": Q1}]}]
    assert read(tmp_path, "c.json", json.dumps(chat))[0] == [f"你是助手\n\n{Q1}"]
    assert read(tmp_path, "d.txt", f"{Q1}\n{Q2}\n")[0] == [Q1, Q2]
    assert read(tmp_path, "e.txt", "\n\n".join(BLOCKS))[0] == BLOCKS
    assert read(tmp_path, "f.jsonl", json.dumps({"question": f"{PASSAGE}\n\n{Q1}", "answer": "乙"}))[0] == [
        f"{PASSAGE} {Q1}"
    ]
    long = "因为法律规定耕地的承包期为三十年，所以是三十年。"
    assert read(tmp_path, "g.jsonl", json.dumps({"answer": long, "question": Q2}))[0] == [f"{Q2}\n\n{Q2}\n{long}"]


def test_columns_name_the_fields_at_any_depth_and_nothing_else_counts(tmp_path):
    nested = {"卷": [{"材": PASSAGE, "题": [{"面": Q1, "备": "这是一段不该看的备注文字"}, {"面": Q2, "备": "同上"}]}]}
    columns = {"question": "面", "passage": "材"}
    rows, _ = read(tmp_path, "a.json", json.dumps(nested, indent=1), columns=columns)
    assert rows == [f"{Q1}\n\n{PASSAGE}", f"{Q2}\n\n{PASSAGE}"]
    with pytest.raises(UserError, match="line 1: the record has none of '题面'; correct columns"):
        read(tmp_path, "b.jsonl", json.dumps({"question": Q1}), columns={"question": "题面"})


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *((name, Role.QUESTION) for name in ("Question", "question_text", "problem", "题目", "问题内容")),
        *((name, Role.OPTION) for name in ("A", "choice0", "optionB", "endings", "answer_choices", "opa", "选项A")),
        *((name, Role.ANSWER) for name in ("answer", "labels", "correct_answer", "答案")),
        *((name, Role.NOTHING) for name in ("", "id", "question_id", "answerKey", "subject", "Unnamed: 0", "题型")),
        *((name, Role.TEXT) for name in ("context", "sentence1", "premise", "材料", "0")),
    ],
)
def test_a_name_says_what_a_field_is(name, role):
    assert role_of(name) == role


def test_deep_nesting_is_one_field(tmp_path):
    deep = "[" * 300 + json.dumps(Q1) + "]" * 300
    assert read(tmp_path, "a.jsonl", f'{{"text": {deep}}}')[0] == [Q1]
