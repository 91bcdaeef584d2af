"""Measure retrieval on known-item queries; let the SFT model answer with its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from woodblock.base.progress import Progress
from woodblock.evaluation import statistics
from woodblock.models import devices, hugging_face
from woodblock.retrieval import answering, known_items, real_questions
from woodblock.retrieval.bm25 import Index
from woodblock.run.stage import Run, run_stage
from woodblock.tables import parquet

SUPPORTED = 0.5  # the share of an answer's character pairs that must stand in the articles
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
        ("ended", pa.bool_()),
        ("grounded", pa.float64()),
        ("grounded_elsewhere", pa.float64()),
        ("f1", pa.float64()),
    ]
)


def rag_eval(params: Any, index_folder: Path, model_folder: Path, out: Path, run: Run) -> dict[str, Any]:
    index = Index.load(index_folder)
    queries = known_items.draw(index.passages, params.rag_eval.queries, params.seed)
    ranks = known_items.ranks(index, queries)
    parquet.write(
        out / "queries",
        ({"kind": query.kind, "query": query.text, "rank": rank} for query, rank in zip(queries, ranks, strict=True)),
        QUERIES,
    )
    return {
        **known_items.scores(ranks),
        "passages": len(index.passages),
        "chance": statistics.chance_of_recall(known_items.DEPTH, len(index.passages)),
        "by_kind": by_kind(queries, ranks),
        "characters_only": known_items.scores(known_items.ranks(index.characters_only(), queries)),
        **real(params, index, out),
        **({} if "answers" in run.off else answered(params, index, queries, ranks, model_folder, out)),
    }


def answered(
    params: Any, index: Index, queries: list[known_items.Query], ranks: list[int], model_folder: Path, out: Path
) -> dict[str, Any]:
    """Let the SFT model answer the first queries, and write the tables of the answers; returns numbers about them."""
    answers = answer(params, index, queries[: params.rag_eval.answers], ranks, model_folder, cite_first=True)
    unaided = answer(params, index, queries[: params.rag_eval.answers], ranks, model_folder, cite_first=False)
    parquet.write(out / "answers", answers, ANSWERS)
    parquet.write(out / "unaided", unaided, ANSWERS)
    own_words = summary(unaided)  # the same questions, where the model has to write the citation itself
    begun = {name: value for name, value in summary(answers).items() if not name.startswith("cites")}  # it cannot fail
    return {"answers": begun, "unaided": own_words}


def real(params: Any, index: Index, out: Path) -> dict[str, Any]:
    """The scores of the questions in rag_eval.questions, where it names a file."""
    if params.rag_eval.questions is None:
        return {}
    asked = real_questions.read(Path(params.rag_eval.questions), params.rag_eval.questions_sha256)
    queries = real_questions.find(asked, index.passages)
    ranks = known_items.ranks(index, queries)
    rows = ({"kind": q.kind, "query": q.text, "rank": rank} for q, rank in zip(queries, ranks, strict=True))
    parquet.write(out / "real_questions", rows, QUERIES)
    return {"real_questions": {"in_file": len(asked), **known_items.scores(ranks, "hit")}}


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
    others = [
        *answers[1:],
        *answers[:1],
    ]  # each answer beside the articles of another question: what chance alone shares
    return [
        {
            "kind": query.kind,
            "right": 0 < rank <= params.rag_eval.passages,
            **given.record(),
            "grounded_elsewhere": given.grounded(other.sources),
        }
        for query, rank, given, other in zip(queries, ranks, answers, others, strict=False)  # ranks: of all queries
    ]


def summary(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares and means over the answers.

    right: a right article was among the passages that the model was given. grounded: the mean share of the model's words
    that stand in them; grounded_elsewhere: in the articles of another question. supported: at least half of the words do.
    cites_supported: such an answer also names the article. To name an article says nothing of what is said about it.
    """
    count = len(answers)
    shares = {
        name: sum(answer[name] for answer in answers) / count
        for name in ("right", "cites", "invents", "grounded", "grounded_elsewhere", "f1")
    }
    supported = [answer["grounded"] >= SUPPORTED for answer in answers]
    return {
        "n": count,
        "stops": sum(answer["ended"] for answer in answers) / count,
        "supported": sum(supported) / count,
        "cites_supported": sum(a["cites"] and holds for a, holds in zip(answers, supported, strict=True)) / count,
        "empty": sum(not answer["answer"] for answer in answers) / count,
        **shares,
    }


if __name__ == "__main__":
    run_stage(rag_eval, scores={"recall@1": "recall@1", "grounded": "answers.grounded"})
