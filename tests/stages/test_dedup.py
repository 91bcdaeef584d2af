"""Dedup drops what stands elsewhere, holds out whole groups, and lets no held-out text or benchmark into training."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter

import pyarrow.parquet as pq
import pytest
from support.dedup_case import SETTINGS, Case, article, corpus, digests, document, filled, groups, sentence, talk

from woodblock.base.errors import UserError
from woodblock.decontamination import gate, writing
from woodblock.decontamination.checked_texts import split_of
from woodblock.decontamination.index import OWN, Overlaps
from woodblock.duplicates import reading
from woodblock.duplicates.sketches import gram_set, jaccard, letters
from woodblock.run import shards
from woodblock.sources.statutes import law_group
from woodblock.tables import parquet
from woodblock.tables.texts import held_out


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


# --- the whole stage --------------------------------------------------------------------------------------------------


def test_the_bytes_are_the_same_with_one_worker_and_with_three(case):
    corpus(case)
    counts = case.run("one", processes=1)
    assert counts == case.run("three", processes=3)
    assert digests(case, "one") == digests(case, "three")
    of_corpus = counts["corpus"]
    assert len(parquet.parts(case.folder / "3000-corpus")) > 4
    assert min(of_corpus[f"dropped_{step}"] for step in ("near", "benchmarks")) > 0 < of_corpus["paragraphs_removed"]


def test_the_size_of_parts_changes_no_row(tmp_path):
    cases = [Case(tmp_path / str(size), size) for size in (1500, 9000)]
    for case in cases:
        case.folder.mkdir()
        corpus(case)
        case.run()
    small, large = cases
    assert small.counts == large.counts
    for name in ("train", "validation", "instructions", "documents", "results/drops", "results/kept"):
        assert small.table(name) == large.table(name), name
    assert len(parquet.parts(small.folder / "out/train")) > len(parquet.parts(large.folder / "out/train")) >= 2


def test_partitions_and_chunks_change_no_byte(case, monkeypatch):
    corpus(case)
    case.run("whole")
    monkeypatch.setattr("woodblock.duplicates.shelf.PARTITION", 30)
    for name, value in {"RANGE": 4, "RANGE_PAIRS": 20, "CHUNK_PAIRS": 5, "CHUNK_BYTES": 2000}.items():
        monkeypatch.setattr(f"woodblock.duplicates.pairs.{name}", value)
    case.run("split")
    assert digests(case, "whole") == digests(case, "split")


@pytest.mark.parametrize("module, function", [(reading, "read_part"), (writing, "write_part")])
def test_a_killed_run_goes_on_with_the_shards_that_are_left(case, monkeypatch, module, function):
    corpus(case)
    case.run("whole")
    original, done = getattr(module, function), []

    def killed_at_the_third(task, folder):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(folder.name)
        return original(task, folder)

    monkeypatch.setattr(module, function, killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        case.run("killed", work="work")
    again = []

    def counted(task, folder):
        again.append(folder.name)
        return original(task, folder)

    monkeypatch.setattr(module, function, counted)
    case.run("restarted", work="work")
    assert digests(case, "whole") == digests(case, "restarted")
    assert len(done) == 2 and again and not set(done) & set(again)


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    """Five times the text in parts of the same size: the peak of what Python and NumPy allocate stays where it was.

    One document is held out in both: the index of held-out text is as large as that text.
    """
    peaks = []
    for turn, documents in enumerate((300, 60, 300)):  # the first loads what is loaded once
        case = Case(tmp_path / str(turn), part_characters=120_000)
        case.folder.mkdir()
        chance = random.Random(1)
        alphabet = [chr(point) for point in range(0x4E00, 0x9000)]
        for number, group in enumerate([*groups("validation", 1), *groups("train", documents)]):
            text = "\n".join("".join(chance.choices(alphabet, k=200)) for _ in range(50))
            case.rows["corpus"].append(document(number, text, group))
        inputs = case.folder / f"{case.part_characters}-corpus"
        parquet.write(inputs, case.rows["corpus"], parquet.CLEANED, case.part_characters)
        case.rows["corpus"] = []
        letters()
        tracemalloc.start()
        case.run()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1]


def test_parts_are_numbered_without_gaps_and_empty_ones_left_out(case):
    chance = random.Random(1)
    one = groups("validation", 1)[0]
    case.rows["corpus"] = [document(n, sentence(chance, 200), group) for n, group in enumerate(groups("train", 60))]
    case.rows["corpus"].append(document(60, sentence(chance, 200), one))
    case.run()
    assert [part.name for part in parquet.parts(case.folder / "out/validation")] == ["part-00000.parquet"]
    names = [part.name for part in parquet.parts(case.folder / "out/train")]
    assert names == [f"part-{n:05d}.parquet" for n in range(len(names))] and len(names) > 2
    assert all(pq.read_metadata(part).num_rows for part in parquet.parts(case.folder / "out/train"))
    assert case.table("instructions") == [] and len(parquet.parts(case.folder / "out/instructions")) == 1


# --- duplicates -------------------------------------------------------------------------------------------------------


def test_of_copies_the_best_stays_and_not_the_first(case):
    text = sentence(random.Random(1), 200)
    edited = text[:100] + "改" + text[101:]
    filled(case, [text, text[:50] + "，\n" + text[50:], edited, edited + "尾"], [0.1, 0.2, 0.3, 0.2])
    counts = case.run()["corpus"]
    assert case.ids("train") == ["d2"]
    assert (counts["dropped_exact"], counts["dropped_near"]) == (1, 2)
    reasons = {row["id"]: (row["step"], row["reason"]) for row in case.table("results/drops")}
    assert reasons["d0"] == ("exact", "the same letters as d1")
    assert reasons["d3"][0] == "near" and reasons["d3"][1].endswith("with d2")
    assert sum(case.counts["pairs"].values()) > 0


def test_nobody_goes_for_one_who_went(case):
    chance = random.Random(3)
    text = sentence(chance, 100)
    second = text[:80] + sentence(chance, 20)  # near the first
    third = second[15:] + sentence(chance, 15)  # near the second, and far from the first
    sets = [gram_set(one.encode(), 3) for one in (text, second, third)]
    assert jaccard(sets[0], sets[1]) > 0.5 < jaccard(sets[1], sets[2])
    assert jaccard(sets[0], sets[2]) < 0.5
    case.settings["bands"], case.settings["rows"] = 60, 1
    filled(case, [text, second, third], [0.3, 0.2, 0.1])
    case.run()
    assert case.ids("train") == ["d0", "d2"]


def test_a_paragraph_of_many_documents_stays_in_the_best(case):
    chance = random.Random(5)
    shared = sentence(chance, 30)
    texts = [f"{sentence(chance, 60)}\n{shared}\n{sentence(chance, 60)}" for _ in range(3)]
    filled(case, [*texts, f"{shared}\n短"], [0.1, 0.9, 0.2, 0.0])
    counts = case.run()["corpus"]
    kept = {row["id"]: row["text"] for row in case.table("train")}
    assert kept == {
        "d0": texts[0].replace(f"{shared}\n", ""),
        "d1": texts[1],
        "d2": texts[2].replace(f"{shared}\n", ""),
    }
    assert (counts["paragraphs_removed"], counts["changed_paragraphs"], counts["dropped_short"]) == (3, 3, 1)
    sample = next(row for row in case.table("results/drops") if row["step"] == "paragraphs" and row["id"] == "d0")
    assert (sample["text"], sample["reason"]) == (shared, "also in d1")


def test_a_short_document_that_clean_let_through_stays(case):
    filled(case, [sentence(random.Random(6), 60), "明天要去上海。"], [0.1, 0.2])
    counts = case.run()["corpus"]
    assert case.ids("train") == ["d0", "d1"]
    assert counts.get("dropped_short", 0) == 0


# --- the split, and what training may not share -----------------------------------------------------------------------


def test_each_record_is_counted_once_and_every_row_is_where_its_group_is(case):
    corpus(case)
    counts = case.run()["corpus"]
    train, validation = case.table("train"), case.table("validation")
    assert all(held_out(row["group"], 0.3) for row in validation) and not any(
        held_out(row["group"], 0.3) for row in train
    )
    assert (
        counts["read"]
        == len(case.rows["corpus"])
        == (len(train) + len(validation) + sum(number for key, number in counts.items() if key.startswith("dropped_")))
    )
    given = {row["id"]: row["text"] for row in case.rows["corpus"]}
    assert validation and all(given[row["id"]] == row["text"] for row in validation)
    for split, rows in (("train", train), ("validation", validation)):
        assert counts[f"{split}_documents"] == len(rows)
        assert counts[f"{split}_chars"] == sum(len(row["text"]) for row in rows)
        assert counts[f"{split}_groups"] == len({row["group"] for row in rows})


def test_a_record_in_front_moves_no_document_across(tmp_path):
    """The split of a document without a group hangs on its own text: not on its place, its spacing or its neighbours."""
    chance = random.Random(12)
    texts = [sentence(chance, 50) for _ in range(200)]
    sides = []
    for name, given in {
        "as it was": texts,
        "one in front": [sentence(chance, 50), *texts],
        "back": texts[::-1],
    }.items():
        case = Case(tmp_path / name)
        case.folder.mkdir()
        case.rows["corpus"] = [{**document(n, text), "group": ""} for n, text in enumerate(given)]
        case.run()
        sides.append({row["text"] for row in case.table("validation")})
        rows = [*case.table("train"), *case.table("validation")]
        assert len({row["group"] for row in rows}) == len(rows) and all(row["group"] for row in rows)
    assert 30 < len(sides[0]) < 90 and sides[0] == sides[1] & set(texts) == sides[2]
    spaced = Case(tmp_path / "spaced")
    spaced.folder.mkdir()
    spaced.rows["corpus"] = [{**document(n, f"{t[:20]}，\n{t[20:]}。"), "group": ""} for n, t in enumerate(texts)]
    spaced.run()
    assert {row["text"].translate(str.maketrans("", "", "，\n。")) for row in spaced.table("validation")} == sides[0]


def test_training_loses_the_lines_that_it_shares_with_a_held_out_document(case):
    chance = random.Random(6)
    shared = sentence(chance, 30)
    for number, group in enumerate([*groups("train", 5), *groups("validation", 1)]):
        case.rows["corpus"].append(
            document(number, f"{sentence(chance, 60)}\n\n{shared}\n\n{sentence(chance, 60)}", group)
        )
    case.settings["paragraph_documents"] = 50
    counts = case.run()["corpus"]
    (validation,), train = case.table("validation"), case.table("train")
    assert shared in validation["text"] and not any(shared in row["text"] for row in train)
    assert len(train) == counts["changed_validation"] == counts["train_lines_removed"] == 5
    assert all(row["text"].count("\n\n") == 1 and "\n\n\n" not in row["text"] for row in train)
    record = gate.read(case.folder / "out/decontamination.json")
    assert record["benchmarks"]["validation"]["dropped"] == {"lines": 5}
    overlaps = Overlaps.of([("own", validation["text"])], SETTINGS["overlap_chars"])
    assert not any(overlaps.benchmarks(row["text"]) for row in train)


def test_a_document_with_a_benchmarks_question_goes_whole(case):
    chance = random.Random(7)
    question = sentence(chance, 40)
    filled(case, [f"{sentence(chance, 40)}。{question[5:30]}，{sentence(chance, 9)}", sentence(chance, 80)])
    case.rows["benchmarks"] = [{"id": "q0", "benchmark": "考", "text": question}]
    case.rows["benchmarks"] += [{"id": "q1", "benchmark": "别", "text": sentence(chance, 40)}]
    case.rows["instructions"] = [talk(0, "请背出这段。", question), talk(1, "你好", "你好。")]
    counts = case.run()
    assert case.ids("train") == ["d1"] and case.ids("instructions") == ["c1"]
    assert counts["corpus"]["dropped_benchmarks"] == counts["instructions"]["dropped_benchmarks"] == 1
    record = gate.read(case.folder / "out/decontamination.json")
    assert record["benchmarks"]["考"]["dropped"] == {"documents": 1, "conversations": 1}
    assert record["benchmarks"]["别"]["dropped"] == {} and record["length"] == SETTINGS["overlap_chars"]
    assert gate.is_clean(record, "考", [question])
    assert not gate.is_clean(record, "考", [question + "改"])
    assert {row["reason"] for row in case.table("results/drops") if row["step"] == "benchmarks"} == {"考"}


def test_the_record_speaks_of_the_held_out_texts_that_are_written(case):
    corpus(case)
    case.run()
    record = gate.read(case.folder / "out/decontamination.json")
    own = gate.own_texts(case.table("validation"), case.table("documents"))
    assert gate.is_clean(record, OWN, [text for _, text in own])


def test_a_benchmark_may_not_bear_the_pipelines_own_name(case):
    filled(case, [sentence(random.Random(1), 60)])
    case.rows["benchmarks"] = [{"id": "q", "benchmark": "validation", "text": "一二三四五六七八九十一二三四五六七八"}]
    with pytest.raises(UserError, match="the name validation is reserved for the pipeline's own tasks"):
        case.run()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_empty_split_is_one_line_that_says_why(case, split):
    other = "validation" if split == "train" else "train"
    chance = random.Random(8)
    case.rows["corpus"] = [document(n, sentence(chance, 50), group) for n, group in enumerate(groups(other, 2))]
    with pytest.raises(UserError, match=f"the {split} split is empty: 2 documents read") as error:
        case.run()
    assert "\n" not in str(error.value) and "dedup.validation_share" in str(error.value)


# --- conversations and articles ---------------------------------------------------------------------------------------


def test_of_conversations_with_one_prompt_the_best_reply_stays(case):
    filled(case, [sentence(random.Random(1), 60)])
    case.rows["instructions"] = [
        talk(0, "介绍一下北京", "北京是"),
        talk(1, "介绍一下 北京", "北京是中国的首都，历史很长，人也"),  # longest, and broken off
        talk(2, "介绍一下北京", "北京是中国的首都。"),
        talk(3, "介绍一下北京", "北京是中国的首都。"),  # the same in all
        talk(4, "介绍一下北京", "北京是中国的首都，历史很长。", system="你是助手"),  # another system message
        talk(5, "2-1=?", "1。"),
        talk(6, "2+1=?", "3。"),  # punctuation counts
        talk(7, "你好", "你好！", "再见", "再见。"),
        talk(8, "你好", "你好！"),  # its prompt is all that it says before its reply
        talk(9, "你好", "你好！", "再见", "再见，欢迎再来。"),  # as c7, with a longer last reply
    ]
    counts = case.run()["instructions"]
    assert case.ids("instructions") == ["c2", "c4", "c5", "c6", "c8", "c9"]
    assert counts == {"read": 10, "kept": 6, "dropped_pair": 1, "dropped_prompt": 3}
    reasons = {row["id"]: row["reason"] for row in case.table("results/drops")}
    assert reasons["c3"] == "the same messages as c2" and reasons["c1"].startswith("the same prompt as c2")


@pytest.mark.parametrize("kind", ["first turn", "first turns", "system", "tool"])
def test_chats_that_open_alike_and_go_on_differently_all_stay(case, kind):
    filled(case, [sentence(random.Random(1), 60)])
    chance = random.Random(2)
    for number in range(100):
        asked, reply = sentence(chance, 12), sentence(chance, 20) + "。"
        row = {
            "first turn": talk(number, "你好", "你好！有什么可以帮你？", asked, reply),
            "first turns": talk(number, "你好", "你好！", "在吗", "在的。", asked, reply),
            "system": talk(number, asked, reply, system="你是助手"),
            "tool": talk(number, "现在几点了？", "现在是" + reply, system="你会用工具"),
        }[kind]
        if kind == "tool":
            row["messages"].insert(2, {"role": "tool", "content": asked})
        case.rows["instructions"].append(row)
    assert case.run()["instructions"] == {"read": 100, "kept": 100}


def test_a_conversation_that_holds_held_out_text_is_dropped(case):
    filled(case, [sentence(random.Random(1), 60)])
    kept = case.rows["corpus"][-1]["text"]
    case.rows["instructions"] = [talk(0, "背一段", kept[10:40]), talk(1, "背一段别的", sentence(random.Random(2), 40))]
    counts = case.run()["instructions"]
    assert case.ids("instructions") == ["c1"] and counts["dropped_validation"] == 1


def test_articles_go_where_their_law_goes_and_shared_ones_train_nothing(case):
    filled(case, [sentence(random.Random(1), 60)])
    laws = [f"中华人民共和国第{n}法" for n in range(30)] + [f"第{n}法修正案（二）" for n in range(30)]
    chance = random.Random(2)
    common = sentence(chance, 20)  # in few enough of them to be no template
    rows = [article(law, n, sentence(chance, 30)) for law in laws for n in (1, 2)]
    side = {law: split_of(law, 0.3) for law in laws}
    of_side = {split: [row for row in rows if side[row["law"]] == split] for split in ("train", "validation")}
    of_side["validation"][0]["text"] += common
    of_side["train"][0]["text"] += common
    case.rows["documents"] = rows
    counts = case.run()["documents"]
    splits = {row["id"]: row["split"] for row in case.table("documents")}
    assert list(splits) == [row["id"] for row in rows]
    assert splits.pop(of_side["train"][0]["id"]) == "shared"
    assert all(split == side[key[:-1]] for key, split in splits.items())
    assert all(side[f"中华人民共和国第{n}法"] == side[f"第{n}法修正案（二）"] for n in range(30))
    assert counts["shared_articles"] == counts["changed_validation"] == 1
    assert counts["read"] == 120 == sum(counts[f"{split}_articles"] for split in ("train", "validation", "shared"))
    assert all(held_out(law_group(law), 0.3) == (split == "validation") for law, split in side.items())


# --- samples ----------------------------------------------------------------------------------------------------------


def test_ten_samples_of_each_step_do_not_hang_on_the_order(tmp_path):
    cases = [Case(tmp_path / name) for name in ("forth", "back")]
    for case, step in zip(cases, (1, -1), strict=True):
        case.folder.mkdir()
        corpus(case, documents=200)
        chance = random.Random(1)
        case.rows["corpus"] += [
            document(1000 + n, row["text"] + "。") for n, row in enumerate(case.rows["corpus"][:40])
        ]
        for row in case.rows["corpus"]:
            row["quality"] = chance.random()
        case.rows["corpus"] = case.rows["corpus"][::step]
        case.run()
    drops = [sorted(map(repr, case.table("results/drops"))) for case in cases]
    exact = [[row for row in case.table("results/drops") if row["step"] == "exact"] for case in cases]
    assert sorted(row["id"] for row in exact[0]) == sorted(row["id"] for row in exact[1])
    assert max(Counter(row["step"] for row in cases[0].table("results/drops")).values()) <= 20  # of two roles
    assert len(exact[0]) == 10 and len(cases[0].table("results/kept")) == 20
    assert drops[0] == drops[1]


def test_the_second_round_is_not_reached_by_a_portion(case, monkeypatch):
    corpus(case)
    monkeypatch.setenv(shards.PORTION, "1/2")
    with pytest.raises(shards.PortionDone):
        case.run("first", work="work")
    first = {path.name for path in (case.folder / "work/read").iterdir()}
    monkeypatch.setenv(shards.PORTION, "2/2")
    with pytest.raises(shards.PortionDone):
        case.run("second", work="work")
    assert first and first < {path.name for path in (case.folder / "work/read").iterdir()}
    monkeypatch.delenv(shards.PORTION)
    case.run("rest", work="work")
    case.run("whole")
    assert digests(case, "rest") == digests(case, "whole")
