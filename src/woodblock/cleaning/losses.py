"""What cleaning loses too much of: a source, or all that a step saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from woodblock.base.errors import UserError
from woodblock.base.progress import say

LOST = 0.5  # share of the records that came


def checked(
    counts: Mapping[str, Mapping[str, int]], sources: Mapping[str, Mapping[str, Mapping[str, int]]]
) -> list[str]:
    """Say on the terminal which sources and steps lost more than half; returns the same lines, for the report.

    counts: of the funnel of each role. sources: by role, how many records of each source were read and kept. Raises
    UserError if cleaning left nothing of a role.
    """
    for role, of in counts.items():
        if not of.get("kept") and (of.get("read") or role == "corpus"):
            raise UserError(
                f"every record of {role} was dropped: {step_that_drops_most(of)} of {of.get('read', 0):,} "
                f"(" + ", ".join(f"{key} {count:,}" for key, count in of.items() if count) + f"); look at {role} in "
                "data/raw, or loosen the limits of clean in params.yaml"
            )
    lost = {role: lost_sources(**of) for role, of in sources.items()}
    warned = [line for role, of in counts.items() for line in warnings(role, of, lost.get(role, {}))]
    for line in warned:
        say(f"clean: WARNING: {line}")
    return warned


def step_that_drops_most(counts: Mapping[str, int]) -> str:
    """The step that dropped most of a role's records, and how many: `language` dropped 80."""
    dropped = {key.removeprefix("dropped_"): count for key, count in counts.items() if key.startswith("dropped_")}
    step = max(dropped, key=lambda name: (dropped[name], name), default="")
    return f"`{step}` dropped {dropped[step]:,}" if step else "no step dropped any"


def lost_sources(read: Mapping[str, int], kept: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """The sources that lost more than half of their records: how many came and how many stay."""
    return {
        source: {"read": count, "kept": kept.get(source, 0)}
        for source, count in sorted(read.items())
        if count - kept.get(source, 0) > LOST * count
    }


def warnings(role: str, counts: Mapping[str, int], lost: Mapping[str, Mapping[str, int]]) -> Iterable[str]:
    """A line for each source that lost more than half of its records, and for each step that dropped as many of all."""
    read = counts.get("read", 0)
    for source, of in lost.items():
        gone = of["read"] - of["kept"]
        yield f"{role}: {gone:,} of {of['read']:,} records of {source} were dropped; {step_that_drops_most(counts)} of all"
    for key, count in sorted(counts.items()):
        if key.startswith("dropped_") and count > LOST * read:
            yield f"{role}: the step `{key.removeprefix('dropped_')}` dropped {count:,} of {read:,} records"


def by_source(records: Iterable[Mapping[str, str]]) -> Counter[str]:
    return Counter(record["source"] for record in records)


def of_no_source() -> dict[str, Counter[str]]:
    """By source, how many records were read and kept: none so far."""
    return {"read": Counter(), "kept": Counter()}


def add(sources: Mapping[str, Counter[str]], more: Mapping[str, Mapping[str, int]]) -> None:
    """Add the counts of another part of a table."""
    for key, counts in more.items():
        sources[key].update(counts)
