"""Measure retrieval on known-item queries; let the SFT model answer with its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from woodblock.base.progress import Progress
from woodblock.evaluation import statistics
from woodblock.models import devices, hugging_face
from woodblock.retrieval import answering, known_items
from woodblock.retrieval.bm25 import Index
from woodblock.run.stage import run_stage
from woodblock.tables import parquet

QUERIES = parquet.schema(kind="string", query="string", rank="int64")
SOURCE = pa.struct(
    [
        ("law", pa.string()),
        ("article", pa.string()),
        ("text", pa.string()),
        ("score", pa.float64()),
        ("cut", pa.bool_()),
    ]
)
ANSWERS = pa.schema(
    [
        ("kind", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("sources", pa.list_(SOURCE)),
        ("right", pa.bool_()),
        ("cites", pa.bool_()),
        ("invents", pa.bool_()),
        ("stopped", pa.bool_()),
        ("grounded", pa.float64()),
        ("f1", pa.float64()),
    ]
)


def rag_eval(params: Any, index_folder: Path, model_folder: Path, out: Path) -> dict[str, Any]:
    index = Index.load(index_folder)
    queries = known_items.draw(index.passages, params.rag_eval.queries, params.seed)
    ranks = known_items.ranks(index, queries)
    parquet.write(
        out / "queries",
        ({"kind": query.kind, "query": query.text, "rank": rank} for query, rank in zip(queries, ranks, strict=True)),
        QUERIES,
    )
    answers = answer(params, index, queries[: params.rag_eval.answers], ranks, model_folder, cite_first=True)
    unaided = answer(params, index, queries[: params.rag_eval.answers], ranks, model_folder, cite_first=False)
    parquet.write(out / "answers", answers, ANSWERS)
    parquet.write(out / "unaided", unaided, ANSWERS)
    return {
        **known_items.scores(ranks),
        "passages": len(index.passages),
        "chance": statistics.chance_of_recall(known_items.DEPTH, len(index.passages)),
        "by_kind": by_kind(queries, ranks),
        "characters_only": known_items.scores(known_items.ranks(index.characters_only(), queries)),
        "answers": summary(answers),
        "unaided": summary(unaided),  # the same questions where the model has to write the citation itself
    }


def by_kind(queries: list[known_items.Query], ranks: list[int]) -> dict[str, Any]:
    grouped: dict[str, list[int]] = {}
    for query, rank in zip(queries, ranks, strict=True):
        grouped.setdefault(query.kind, []).append(rank)
    return {kind: known_items.scores(of_kind) for kind, of_kind in grouped.items()}


def answer(
    params: Any, index: Index, queries: list[known_items.Query], ranks: list[int], model_folder: Path, cite_first: bool
) -> list[dict[str, Any]]:
    model, tokenizer = hugging_face.load(model_folder, devices.pick_device(params.device))
    progress = Progress("answer", len(queries), "questions")
    answers = answering.answer(
        [query.text for query in queries],
        index,
        model,
        tokenizer,
        passages=params.rag_eval.passages,
        max_new_tokens=params.rag_eval.max_new_tokens,
        system=params.sft.system,
        no_repeat_ngram=params.sft.no_repeat_ngram,
        cite_first=cite_first,
        on_done=progress.advance,
    )
    progress.close()
    return [
        {"kind": query.kind, "right": 0 < rank <= params.rag_eval.passages, **given.record()}
        for query, rank, given in zip(queries, ranks, answers, strict=False)  # ranks: of all queries
    ]


def summary(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares and means over the answers; right: a right article was among the passages that the model was given."""
    count = len(answers)
    shares = {
        name: sum(answer[name] for answer in answers) / count
        for name in ("right", "cites", "invents", "grounded", "f1")
    }
    return {
        "n": count,
        "stops": sum(answer["stopped"] for answer in answers) / count,
        "empty": sum(not answer["answer"] for answer in answers) / count,
        **shares,
    }


if __name__ == "__main__":
    run_stage(rag_eval, scores={"recall@1": "recall@1", "grounded": "answers.grounded"})
