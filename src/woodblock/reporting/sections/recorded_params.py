"""The params that the stages ran with, as YAML."""

from __future__ import annotations

from typing import Any

import yaml

from woodblock.reporting.finished_run import Finished


def describe(run: Finished) -> dict[str, Any]:
    """The blocks of params.yaml, each as text."""
    return {"blocks": params_as_yaml(run)}


def params_as_yaml(run: Finished) -> list[str]:
    """The params that the stages recorded, as YAML like params.yaml: the common settings, then a block a stage.

    A value that was auto is shown as the number that was used, with a mark.
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
