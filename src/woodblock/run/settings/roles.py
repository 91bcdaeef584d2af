"""Empty roles: which stages, and which parts of stages, the params switch off, and why.

A role (corpus, instructions, documents, benchmarks) is a list of sources under download. Only a corpus is always needed.
What needs a role that is empty is switched off: the stage runs, computes nothing, and leaves outputs that say so. The
params alone decide it, so it can be said before any work starts. It is a part of the lineage: a role that gets its first
source makes the stages run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEY = "switched_off"  # of metrics/<stage>.json: the reason; or, by part, the reasons
OF_ARTICLES = ("source_law", "source_law_verbatim")  # tasks of the benchmark that ask about articles of laws


def switched_off(values: Mapping[str, Any]) -> dict[str, str]:
    """What the values of a params file switch off, with the reason: a stage, or a part of one, such as rag_eval.answers.

    Parts of a stage that is off are left out. A role that the values do not have counts as full.
    """
    empty = {role for role, sources in values.get("download", {}).items() if sources == []}
    no_articles = "download.documents is empty"
    found: dict[str, str] = {}
    if "instructions" in empty and "documents" in empty:
        found["sft"] = "download.instructions and download.documents are empty"
    elif "instructions" in empty and values.get("sft", {}).get("article_examples") == 0:
        found["sft"] = "download.instructions is empty and sft.article_examples is 0"
    elif "documents" in empty and values.get("sft", {}).get("article_examples") != 0:
        found["sft.articles"] = no_articles
    if "documents" in empty:
        found |= {"rag_index": no_articles, "rag_eval": no_articles}
        tasks = values.get("benchmark", {}).get("tasks", OF_ARTICLES)
        off = [task for task in tasks if task in OF_ARTICLES]
        whole = len(off) == len(tasks) and "benchmark" in values
        found |= {"benchmark": no_articles} if whole else {f"benchmark.{task}": no_articles for task in off}
    if "sft" in found:
        found |= {
            part: found["sft"] for part in ("benchmark.sft", "rag_eval.answers") if part.partition(".")[0] not in found
        }
    return dict(sorted(found.items()))


def of_stage(values: Mapping[str, Any], stage: str) -> dict[str, str]:
    """What is switched off of a stage: {"": reason} for all of it, or {part: reason}; nothing where nothing is."""
    named = ((*what.partition("."), reason) for what, reason in switched_off(values).items())
    return {part: reason for name, _, part, reason in named if name == stage}


def line(values: Mapping[str, Any]) -> str | None:
    """All that is switched off, in one line; None where nothing is."""
    by_reason: dict[str, list[str]] = {}
    for what, reason in switched_off(values).items():
        by_reason.setdefault(reason, []).append(what)
    if not by_reason:
        return None
    return "switched off: " + "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())
