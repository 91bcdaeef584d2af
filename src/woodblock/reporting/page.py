"""The page of the report: its sections, in tables and charts, as one HTML page.

The page shows scores and computes none: each number on it is in metrics/, timings/, curves/ or results/, and can be
checked there. The page adds only simple arithmetic, and says so (a distance from chance in standard errors, a total).
A number without words in words.py is shown too, under its own name, in the last table.
"""

from __future__ import annotations

from pathlib import Path

import jinja2

from woodblock.reporting import readable
from woodblock.reporting.arranging import CUT
from woodblock.reporting.finished_run import Finished
from woodblock.reporting.sections import (
    all_numbers,
    benchmark_scores,
    built_from,
    fine_tuning,
    prepared_text,
    pretraining,
    recorded_params,
    retrieval_scores,
    sample_texts,
    summary,
    time_and_memory,
)

TEMPLATES = Path(__file__).with_name("templates")


def render(run: Finished, title: str) -> str:
    """The page, as HTML that loads nothing: styles and drawings are inline, fonts are the reader's.

    A template knows what its section's module describes by the module's name.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,  # of an included file: otherwise its last line and the next would become one
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = readable.number
    return environment.get_template("page.html.j2").render(
        title=title,
        cut=CUT,
        summary=summary.describe(run),
        built_from=built_from.describe(run),
        prepared_text=prepared_text.describe(run),
        pretraining=pretraining.describe(run),
        fine_tuning=fine_tuning.describe(run),
        benchmark_scores=benchmark_scores.describe(run),
        retrieval_scores=retrieval_scores.describe(run),
        sample_texts=sample_texts.describe(run),
        time_and_memory=time_and_memory.describe(run),
        recorded_params=recorded_params.describe(run),
        all_numbers=all_numbers.describe(run),
    )
