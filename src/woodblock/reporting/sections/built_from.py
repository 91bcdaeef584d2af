"""What was built from what: the sources, the graph with the outputs of each stage, every output with its sha256."""

from __future__ import annotations

import os
from typing import Any

from woodblock.reporting import graph_drawing, readable, words
from woodblock.reporting.arranging import paths_and_values
from woodblock.reporting.finished_run import Finished
from woodblock.run.graph import Stage, producers


def describe(run: Finished) -> dict[str, Any]:
    """The drawing, a row for each source and each output, and the places where a stage read other bytes than were made."""
    return {"graph": drawing(run), "sources": sources(run.manifest), "outputs": outputs(run), "breaks": breaks(run)}


def sources(manifest: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each fetched file, with all its roles."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for role in sorted(manifest):
        for entry in manifest[role]:
            row = rows.setdefault(
                (entry["url"], entry["sha256"]),
                {"url": entry["url"], "sha256": entry["sha256"], "size": readable.size(entry["bytes"]), "roles": []},
            )
            row["licence"] = entry.get("licence") or "not stated"
            row["roles"].append(
                {
                    "role": role,
                    "member": entry.get("member") or "",
                    "records": entry["records"],
                    "dropped": ", ".join(losses(entry)),
                }
            )
    return list(rows.values())


def losses(entry: dict[str, Any]) -> list[str]:
    """What of a source was not read: records that were dropped, by cause, bad ones, and files that were skipped, by kind."""
    dropped, skipped = entry.get("dropped") or {}, entry.get("skipped") or {}
    bad = (entry.get("bad") or {}).get("records", 0)
    said = [f"{count:,} {cause.replace('_', ' ')}" for cause, count in sorted(dropped.items()) if count]
    said += [f"{bad:,} bad records"] if bad else []
    return said + [f"{count:,} files {kind}" for kind, count in sorted(skipped.items()) if count]


def drawing(run: Finished) -> str:
    """The graph, from sources to results, with what each stage made."""
    nodes: list[graph_drawing.Node] = []
    edges: list[graph_drawing.Edge] = []
    for row in sources(run.manifest):
        name = f"source {row['url']}"
        records = [f"{role['records']:,} {words.records(role['role'])}" for role in row["roles"]]
        nodes.append(graph_drawing.Node(name, words.short_url(row["url"])[:28], (*records, row["size"]), "source"))
        edges.append(graph_drawing.Edge(name, next(iter(run.stages)), row["url"]))
    made_by = producers(run.stages)
    for stage in run.stages.values():
        kind = "model" if any(out.startswith("models/") for out in stage.outs) else "stage"
        lines = (main_output(stage), *facts(stage.name, run.metrics.get(stage.name, {})))
        nodes.append(graph_drawing.Node(stage.name, stage.name, lines, kind))
        read_from: dict[str, list[str]] = {}
        for dep in stage.deps:
            if dep in made_by:
                read_from.setdefault(made_by[dep], []).append(dep)
        edges += [graph_drawing.Edge(maker, stage.name, ", ".join(deps)) for maker, deps in read_from.items()]
    return graph_drawing.graph_chart("What was built from what", nodes, edges)


def main_output(stage: Stage) -> str:
    """The model that a stage makes or, without one, the folder of its data, or else that of its results."""
    for kind in ("models/", "data/", "results/"):
        if made := [out for out in stage.outs if out.startswith(kind)]:
            return os.path.commonpath(made)
    return ""


def facts(stage: str, metrics: dict[str, Any]) -> list[str]:
    """A few words on what a stage made, with those of its numbers that exist."""
    found = {path: value for path, value in paths_and_values(metrics) if isinstance(value, (int, float))}
    wanted = {
        "download": [("{:,} texts", "corpus.records"), ("{:,} characters", "corpus.characters")],
        "clean": [
            ("{:,} texts came", "corpus.read"),
            ("{:,} texts stay", "corpus.kept"),
            ("{:,} conversations", "instructions.kept"),
            ("{:,} articles", "documents.kept"),
        ],
        "dedup": [
            ("{:,} training texts", "corpus.train_documents"),
            ("{:,} validation texts", "corpus.validation_documents"),
            ("{:,} conversations", "instructions.kept"),
        ],
        "tokenizer": [("{:,} pieces", "vocab_size"), ("{:.2f} bytes a token", "bytes_per_token")],
        "pack": [("{:,} training tokens", "train_tokens"), ("{:,} validation tokens", "validation_tokens")],
        "pretrain": [
            ("{:,} parameters", "parameters"),
            ("{:,} tokens trained on", "tokens"),
            ("{:.3f} bits a byte", "val_bpb"),
        ],
        "sft": [("{:.3f} of replies end", "stops"), ("{:.3f} nats a reply token", "val_loss")],
        "benchmark": [(f"{{:.3f}} {task}, base", f"base.{task}.acc") for task in words.TASKS],
        "rag_index": [("{:,} passages", "passages"), ("{:,} terms", "vocabulary")],
        "rag_eval": [
            ("{:.3f} of known items first", "recall@1"),
            ("{:.3f} of real questions", "real_questions.hit@1"),
        ],
    }
    return [text.format(found[path]) for text, path in wanted.get(stage, []) if path in found]


def outputs(run: Finished) -> list[dict[str, str]]:
    """A row for each output, with the sha256 that its stage recorded."""
    return [
        {"stage": stage, "path": path, "sha256": sha}
        for stage, lineage in run.lineage.items()
        for path, sha in lineage["outs"].items()
    ]


def breaks(run: Finished) -> list[str]:
    """Deps whose sha256 is not the one that their maker recorded: then the page mixes several runs."""
    made = {path: sha for lineage in run.lineage.values() for path, sha in lineage["outs"].items()}
    return [
        f"{stage} read another {path}"
        for stage, lineage in run.lineage.items()
        for path, sha in lineage["deps"].items()
        if path in made and made[path] != sha
    ]
