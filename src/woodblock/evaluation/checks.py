"""Whether a task's score can be trusted: was the training text compared with what the task asks about?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from woodblock.base.progress import say
from woodblock.decontamination import gate
from woodblock.decontamination.index import OWN
from woodblock.evaluation.harness import Task


def decontaminated(
    tasks: Sequence[Task], asked_about: Mapping[str, Iterable[str] | str], checked: Mapping[str, Any]
) -> dict[str, bool | None]:
    """By task, whether all training text was compared with exactly the texts that the task's benchmark asks about; None if
    it was, but all of these are too short to be found.

    asked_about: those texts by benchmark, or their `gate.digest_of_questions`. checked: what dedup compared (`gate.read`).
    If a task is not checked, a line on standard error says why, and what to do.
    """
    found = {name: gate.is_clean(checked, name, texts) for name, texts in asked_about.items()}
    for task in tasks:
        if task.benchmark not in checked["benchmarks"] and task.benchmark != OWN:
            say(
                f"benchmark: {task.name} is NOT CHECKED: no training text was compared with {task.benchmark}; "
                f"add its questions to download.benchmarks under the name {task.benchmark}"
            )
        elif found.get(task.benchmark, False) is None:
            say(
                f"benchmark: {task.name} is NOT CHECKED: all texts of {task.benchmark} are too short to be found in a "
                "training text, or have nothing but templates"
            )
        elif not found.get(task.benchmark):
            say(
                f"benchmark: {task.name} is NOT CHECKED: the training text was compared with texts of "
                f"{task.benchmark} that are not those of the task; run dedup again"
            )
    return {task.name: found.get(task.benchmark, False) for task in tasks}
