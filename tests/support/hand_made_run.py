"""A small finished run for the report: inputs in the shapes that the stages leave, written by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml

from woodblock.evaluation import continuations
from woodblock.run import graph
from woodblock.run.params import leaf
from woodblock.tables import parquet

ROOT = Path(__file__).parents[2]
STAGES = graph.load(ROOT / "dvc.yaml")
SHA = {name: f"{index:064x}" for index, name in enumerate("abcdef")}
MODELS = ("untrained", "base", "sft")


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
            "answers": {"n": 20, "grounded": 0.19, "stops": 1.0},
            "unaided": {"n": 20, "cites": 0.9, "cites_supported": 0.15, "grounded": 0.19, "stops": 0.95},
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
    samples = root / "results/pretrain/samples.md"
    samples.parent.mkdir(parents=True)
    samples.write_text(continuations.as_markdown(taken, ["第一条　为了*", "却说"]), encoding="utf-8")
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
                "ended": i not in (1, 2),
            }
            for i in range(9)
        ),
        parquet.schema(
            task="string", prompt="string", reference="string", reply="string", stopped="bool", ended="bool"
        ),
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
    marks = dict.fromkeys(("right", "cites", "invents", "stopped", "ended"), "bool")
    kinds = parquet.schema(question="string", answer="string", grounded="float64", **marks)
    kinds = kinds.append(parquet.pa.field("sources", parquet.pa.list_(source)))
    used = {"law": "劳动法", "article": "第三十六条", "text": "国家实行工时制度。"}
    values = {"right": True, "cites": False, "invents": False, "stopped": True, "ended": False, "grounded": 0.19}
    rows = [{"question": f"问{i}", "answer": "答", "sources": [used]} | values for i in range(3)]
    parquet.write(root / "results/rag_eval/answers", rows, kinds)


def changed(root: Path, folder: Path, **metrics: dict) -> Path:
    """A copy of the run in which some metrics of some stages are others."""
    shutil.copytree(root, folder, dirs_exist_ok=True)
    for stage, values in metrics.items():
        path = folder / f"metrics/{stage}.json"
        write_json(path, json.loads(path.read_text()) | values)
    return folder
