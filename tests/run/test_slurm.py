"""Slurm: the profile names only what exists, its executor is pinned, and the pages give the line that was tried."""

from __future__ import annotations

import re

import pytest
import yaml
from support.projects import ROOT

from woodblock.run import graph, params

LINE = "snakemake --workflow-profile profiles/slurm --config portions=16"
PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))


def lock(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return dict(line.split("==") for line in text.splitlines() if line and not line.startswith("#"))


def test_the_profile_has_only_options_of_snakemake_and_of_its_executor() -> None:
    from snakemake.cli import get_argument_parser

    options = {option.lstrip("-") for action in get_argument_parser()._actions for option in action.option_strings}
    assert {key for key in PROFILE if not key.startswith("slurm-")} <= options
    executor = pytest.importorskip("snakemake_executor_plugin_slurm", reason="requirements/slurm.txt is not installed")
    fields = set(executor.ExecutorSettings.__dataclass_fields__)
    assert {key[6:].replace("-", "_") for key in PROFILE if key.startswith("slurm-")} <= fields


def test_the_profile_has_only_rules_and_resources_that_exist() -> None:
    rules = set(graph.load(ROOT / "dvc.yaml")) | {"portion"}
    assert {entry.split("=")[0] for entry in PROFILE["set-threads"]} <= rules
    assert {entry.split("=")[0] for entry in PROFILE["default-resources"]} == {"runtime", "mem_mb"}
    assert PROFILE["jobs"] >= 1, "an executor on other machines does not start without --jobs"


def test_the_profile_has_what_every_run_of_snakemake_needs() -> None:
    """It replaces profiles/default. Only the limit of one machine's GPU is not for a cluster."""
    default = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text(encoding="utf-8"))
    assert {key: PROFILE.get(key) for key in default if key != "resources"} | {"resources": "gpu=1"} == default


def test_the_executor_is_pinned_and_only_clusters_install_it() -> None:
    pins = lock("slurm")
    assert f"snakemake-executor-plugin-{PROFILE['executor']}" in pins
    assert all(re.fullmatch(r"\d+(\.\d+)+", version) for version in pins.values())
    assert "slurm" not in (ROOT / "requirements.txt").read_text(encoding="utf-8")
    wanted = (ROOT / "requirements/packages.in").read_text(encoding="utf-8").split("# group slurm")[1].splitlines()[1:]
    assert wanted == ["snakemake-executor-plugin-slurm"]


@pytest.mark.parametrize("page", ["README.md", "README.zh.md", "docs/clusters.md", "docs/data.md"])
def test_the_pages_give_the_line_that_was_tried(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert LINE in text and "--executor slurm" not in text


@pytest.mark.parametrize(("given", "wanted"), [("1", 1), ("999", None), ("", None), ("node", None), ("0", None)])
def test_a_job_starts_no_more_processes_than_it_asked_for_cores(monkeypatch, given: str, wanted: int | None) -> None:
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    free = params.processes({"processes": "auto"})
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", given)
    assert params.processes({"processes": "auto"}) == (wanted or free)
    assert params.processes({"processes": 3}) == 3
