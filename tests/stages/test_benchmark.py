"""The benchmark stage: no score is called clean unless the training text was compared with what is asked about."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import small_models

import benchmark
from woodblock.decontamination import gate
from woodblock.decontamination.index import OWN, Overlaps
from woodblock.evaluation import harness, questions
from woodblock.models import hugging_face
from woodblock.run.stage import Run
from woodblock.tables import parquet

LAWS = [f"中华人民共和国{name}法" for name in ("水", "森林", "海岛", "教育", "药品", "渔业")]
HELD_OUT = LAWS[:5]


def article(rng: random.Random) -> str:
    clauses = ("".join(chr(rng.randrange(0x4E00, 0x4F00)) for _ in range(9)) + mark for mark in "，，，；。")
    return "".join(clauses)


@pytest.fixture(scope="module")
def rows():
    """Articles of six laws, five of them held out, and the held-out laws' documents."""
    rng = random.Random(1)
    articles = [
        {"id": f"{law}-{n}", "law": law, "article": f"第{n}条", "chapter": "", "number": n, "status": "现行有效"}
        | {"text": article(rng), "split": "validation" if law in HELD_OUT else "train"}
        for law in LAWS
        for n in range(1, 9)
    ]
    texts = [
        {"id": law, "group": law, "source": "laws", "title": law, "weight": 1.0, "quality": 0.0}
        | {"text": "\n".join(row["text"] for row in articles if row["law"] == law)}
        for law in HELD_OUT
    ]
    return texts, articles


@pytest.fixture(scope="module")
def run(rows, tmp_path_factory):
    """The stage on two small random models, given a record of what was checked; returns its metrics."""
    root = tmp_path_factory.mktemp("run")
    texts, articles = rows
    for name, seed in (("base", 1), ("sft", 2)):
        hugging_face.save(small_models.model(seed, context=256), small_models.tokenizer_folder(), root / name)
    parquet.write(root / "validation", texts, parquet.CLEANED)
    parquet.write(root / "documents", articles, parquet.SPLIT_DOCUMENTS)
    settings = SimpleNamespace(
        tasks=["validation", "source_law"],
        questions_per_group=4,
        questions=8,
        validation_chars=900,
        batch_tokens=2048,
        bootstrap=20,
    )
    params = SimpleNamespace(benchmark=settings, seed=1, device="cpu", threads=1)
    turn = iter(range(100))

    def go(recorded, **off):
        gate.write(root / "record.json", recorded)
        inputs = (root / name for name in ("base", "sft", "validation", "documents", "record.json"))
        return benchmark.benchmark(params, *inputs, root / f"out-{next(turn)}", Run("benchmark", "", root, off=off))

    return go


def marks(metrics):
    models = {name: scores for name, scores in metrics.items() if isinstance(scores, dict)}
    assert sorted(models) == ["base", "sft", "untrained"]
    found = {(task, score["decontaminated"]) for scores in models.values() for task, score in scores.items()}
    assert len(found) == 2  # the models agree
    return dict(found)


def test_scores_are_clean_where_their_texts_were_checked(run, rows, capsys):
    texts, articles = rows
    own = list(gate.own_texts(texts, articles))
    metrics = run(gate.record([Overlaps.of(reversed(own), 32)], {}))
    assert marks(metrics) == {"validation": True, "source_law": True}
    assert metrics["overlap_chars"] == 32
    assert "NOT CHECKED" not in capsys.readouterr().err


@pytest.mark.parametrize("what", ["an article", "a document", "one less", "none"])
def test_scores_of_other_texts_are_not(run, rows, capsys, what):
    texts, articles = rows
    own = [text for _, text in gate.own_texts(texts, articles)]
    checked = {
        "an article": [*own[:-1], own[-1] + "但书"],
        "a document": ["另" + own[0], *own[1:]],
        "one less": own[1:],
        "none": [],
    }[what]
    metrics = run(gate.record([Overlaps.of([(OWN, text) for text in checked], 32)], {}))
    assert marks(metrics) == {"validation": False, "source_law": False}
    lines = [line for line in capsys.readouterr().err.splitlines() if "NOT CHECKED" in line]
    assert [line.split()[1] for line in lines] == ["source_law", "validation"]
    assert all("run dedup again" in line for line in lines)


def test_parts_that_empty_roles_switch_off_are_left_out(run, rows):
    texts, articles = rows
    record = gate.record([Overlaps.of(gate.own_texts(texts, articles), 32)], {})
    metrics = run(record, source_law="download.documents is empty", sft="download.instructions is empty")
    assert {name: list(metrics[name]) for name in metrics if isinstance(metrics[name], dict)} == {
        "untrained": ["validation"],
        "base": ["validation"],
    }


def test_a_task_that_the_text_is_too_small_for_does_not_end_the_stage(rows, capsys):
    texts, _ = rows
    few = benchmark.units(texts[:1], [])  # of one group, without a law's name
    counts = {"questions_per_group": 4, "questions": 8}
    params = SimpleNamespace(benchmark=SimpleNamespace(tasks=["validation", "source_law"], **counts), seed=1)
    run = Run("benchmark", "", Path())
    assert benchmark.ask(few, params, run) == {}
    assert list(run.off) == ["source_law"] and "source_law needs articles from 4 held-out laws" in run.off["source_law"]
    assert "source_law is switched off: " in capsys.readouterr().err
    params.benchmark.tasks = ["source_law"]
    with pytest.raises(questions.TooFew):
        benchmark.ask(few, params, Run("benchmark", "", Path()))


def test_the_split_is_read_once_and_scored_up_to_the_cap(run, rows, monkeypatch):
    texts, articles = rows
    streamed = []
    stream = parquet.stream

    def counted(path, *rest):
        streamed.append(path.name)
        return stream(path, *rest)

    monkeypatch.setattr(parquet, "stream", counted)
    metrics = run(gate.record([Overlaps.of(gate.own_texts(texts, articles), 32)], {}))
    assert streamed.count("validation") == 1
    scores = metrics["base"]["validation"]
    assert scores["all_documents"] == len(texts) == 5 and scores["documents"] == 2  # of 407 characters each
    assert marks(metrics)["validation"] is True  # although only two were scored: all were checked


def test_nothing_is_clean_where_nothing_could_be_checked(capsys):
    task = harness.text_task("short", "short", ["咽的分部"])
    asked = {"short": ["咽的分部", "声带"]}
    recorded = gate.record([Overlaps.of([("short", text) for text in asked["short"]], 32)], {})
    assert recorded["benchmarks"]["short"]["too_short"] == 2
    assert benchmark.decontaminated([task], asked, recorded) == {"short": None}
    assert "short is NOT CHECKED: all texts of short are too short" in capsys.readouterr().err


def test_a_task_of_a_public_benchmark_is_held_to_its_own_name(capsys):
    """What a later task brings: the name of its benchmark, and the texts of the benchmark's questions."""
    task = harness.text_task("cmmlu_law", "cmmlu", ["下列关于土地承包经营权的说法中，正确的是"])
    asked = {"cmmlu": ["下列关于土地承包经营权的说法中，正确的是"], OWN: ["甲乙丙丁" * 9]}
    both = gate.record([Overlaps.of([(name, text) for name in asked for text in asked[name]], 32)], {})
    assert benchmark.decontaminated([task], asked, both) == {"cmmlu_law": True}
    assert "NOT CHECKED" not in capsys.readouterr().err
    own = gate.record([Overlaps.of([(OWN, text) for text in asked[OWN]], 32)], {})
    assert benchmark.decontaminated([task], asked, own) == {"cmmlu_law": False}
    message = capsys.readouterr().err
    assert "cmmlu_law is NOT CHECKED" in message and "download.benchmarks under the name cmmlu" in message
    # Nor is a task clean whose stage does not say which texts it asks about.
    assert benchmark.decontaminated([task], {OWN: asked[OWN]}, both) == {"cmmlu_law": False}


def test_articles_that_stand_in_a_law_that_is_trained_on_or_indexed_are_not_asked_about(rows):
    texts, articles = rows
    twin = articles[0]["text"]
    for split in ("train", "shared"):
        other = [{**row, "text": twin, "split": split} if row["law"] == LAWS[-1] else row for row in articles]
        asked = benchmark.units(texts, other)
        assert len(asked) == 39 and twin not in {unit.text for unit in asked}
    assert len(benchmark.units(texts, articles)) == 40
