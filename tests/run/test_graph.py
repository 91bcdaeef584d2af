"""One graph: dvc.yaml, the rules of Snakemake, the scripts' imports and the names agree."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from support.projects import ROOT

from woodblock.base import digests
from woodblock.base.errors import UserError
from woodblock.run import graph, lineage, params, write_graph

STAGES = graph.load(ROOT / "dvc.yaml")


def test_the_deps_of_code_are_what_make_graph_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = Path("dvc.yaml").read_text(encoding="utf-8")
    assert write_graph.written(text) == text, "run: make graph"


@pytest.mark.parametrize("name", STAGES)
def test_one_name_for_stage_script_params_and_records(name: str) -> None:
    stage = STAGES[name]
    assert stage.cmd.startswith(f"python src/{name}.py ")
    assert f"src/{name}.py" in stage.deps
    assert name in params.read(ROOT / "params.yaml")
    assert {o for o in stage.outs if o.startswith("metrics/")} <= {f"metrics/{name}.json"}
    assert {o for o in stage.outs if o.startswith("lineage/")} == {f"lineage/{name}.json"}
    assert {o for o in stage.outs if o.startswith("timings/")} == {f"timings/{name}.json"}
    # With an uncached output DVC keeps no run cache: going back to old params would compute again.
    entry = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][name]
    assert [out for out in entry["outs"] if isinstance(out, dict)] == []


def test_the_tables_of_dvc_fit_on_a_screen() -> None:
    """Its metrics are the scores alone, and all of them beside each other take 120 columns at most."""
    entries = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    files = {name: entry["metrics"] for name, entry in entries.items() if "metrics" in entry}
    assert files == {name: [f"scores/{name}.json"] for name in ("pretrain", "sft", "benchmark", "rag_eval")}
    names: list[str] = []
    for stage in files:
        tree = ast.parse((ROOT / f"src/{stage}.py").read_text(encoding="utf-8"))
        calls = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "run_stage"
        ]
        names += ast.literal_eval(next(word.value for word in calls[0].keywords if word.arg == "scores"))
    assert len(names) == len(set(names)) > 5
    value = len("0.12345")
    assert sum(max(len(text), value) + 4 for text in ("scores/benchmark.json", *names)) <= 120


@pytest.mark.parametrize("name", STAGES)
def test_outputs_are_arguments_and_deps_are_there(name: str) -> None:
    stage = STAGES[name]
    arguments = stage.cmd.split()[2:]
    records = {f"{folder}/{name}.json" for folder in ("metrics", "scores", "lineage", "timings")}
    assert set(stage.outs) - records <= set(arguments)
    assert set(arguments) <= set(stage.deps) | set(stage.outs)
    made = graph.producers(STAGES)
    missing = [d for d in stage.deps if d not in made and not (ROOT / d).exists() and not d.endswith(".py")]
    assert not missing


def test_params_are_leaves_that_exist() -> None:
    values = params.read(ROOT / "params.yaml")
    for stage in STAGES.values():
        for path in stage.params:
            assert not isinstance(params.leaf(values, path), dict), f"{path}: a block; list its leaves"


def test_every_param_is_read_by_some_stage() -> None:
    from woodblock.run.params import by_path

    declared = {path for stage in STAGES.values() for path in stage.params}
    assert set(by_path(params.read(ROOT / "params.yaml"))) == declared | set(graph.OF_NO_STAGE)


@pytest.mark.parametrize(
    ("path", "value", "stages"),
    [
        ("model.depth", 12, {"pretrain"}),
        ("pretrain.batch_tokens", "auto", {"pretrain"}),
        ("tokenizer.vocab_size", 1000, {"tokenizer", "pretrain"}),  # a budget of 20 tokens a parameter goes by it
    ],
)
def test_a_size_is_a_matter_of_the_stages_that_it_shapes(path: str, value: object, stages: set[str]) -> None:
    values, changed = (params.read(ROOT / "params.yaml") for _ in range(2))
    block, key = path.split(".")
    changed[block][key] = value
    assert {n for n, s in STAGES.items() if lineage.declared(s, values) != lineage.declared(s, changed)} == stages


def test_processes_make_nothing_stale_and_threads_what_torch_computes() -> None:
    def changed(key: str, value: object) -> set[str]:
        values = params.read(ROOT / "params.yaml")
        other = {**values, key: value}
        return {n for n, s in STAGES.items() if lineage.declared(s, values) != lineage.declared(s, other)}

    assert changed("processes", 16) == set()
    assert changed("threads", 16) == {"pretrain", "sft", "benchmark", "rag_eval"}


def test_no_script_shadows_a_module() -> None:
    names = {path.stem for path in (ROOT / "src").glob("*.py")}
    assert not names & set(sys.stdlib_module_names)
    assert not names & set(metadata.packages_distributions())


def test_git_and_dvc_ignore_what_they_should() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for stage in STAGES.values():
        for out in stage.outs:
            top = out.split("/")[0]
            assert f"/{top}/" in ignored or f"/{out}" in ignored, out
    assert set(digests.IGNORED) <= set((ROOT / ".dvcignore").read_text().splitlines())


def test_a_command_of_the_venv_finds_its_python(tmp_path: Path) -> None:
    """`.venv/bin/dvc repro` in a shell where .venv is not activated: the stages' commands begin with python."""
    venv = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    shutil.copy(ROOT / "requirements/venv_first.pth", packages)
    (tmp_path / "engine.py").write_text("import subprocess; subprocess.run('python stage.py', shell=True, check=True)")
    (tmp_path / "stage.py").write_text("import os, sys; print(sys.prefix, os.environ['PATH'])")
    done = subprocess.run(
        [venv / "bin/python", "engine.py"],
        cwd=tmp_path,
        env={"PATH": "/bin:/usr/bin"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(venv), f"{venv}/bin:/bin:/usr/bin"]
    assert "venv_first.pth" in (ROOT / "Makefile").read_text(), "make installs it"


def test_no_templating() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert "${" not in text
    assert set(yaml.safe_load(text)) == {"stages"}
    assert not re.search(r"^\s+(foreach|matrix|vars):", text, re.MULTILINE)


def test_both_engines_have_this_graph(new_project) -> None:
    project = new_project()
    dvc = project.run("dvc", "dag", "--dot").stdout
    ours = {(above, name) for name in STAGES for above in graph.upstream(STAGES, name)}
    assert set(re.findall(r'"(\w+)" -> "(\w+)"', dvc)) == ours

    snakemake = project.run("snakemake", "--forceall", "--rulegraph", "dot").stdout
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', snakemake))
    edges = {(names[above], names[below]) for above, below in re.findall(r"(\d+) -> (\d+)", snakemake)}
    assert {edge for edge in edges if edge[1] != "all"} == ours
    assert {above for above, below in edges if below == "all"} == set(STAGES)


def test_portions_are_jobs_before_the_stages_that_work_by_shards(new_project) -> None:
    project = new_project()
    plan = project.run("snakemake", "--dry-run", "--config", "portions=3").stdout
    jobs = set(re.findall(r"output: \.woodblock/portions/(\S+)", plan))
    assert jobs == {f"{stage}-{part}-of-3" for stage in ("clean", "dedup") for part in (1, 2, 3)}
    assert "rule portion" not in project.run("snakemake", "--dry-run").stdout


@pytest.mark.parametrize("value", ["abc", "0", "1.5", "true"])
def test_portions_that_are_no_number_are_one_line(new_project, value: str) -> None:
    done = new_project().run("snakemake", "--dry-run", "--config", f"portions={value}", check=False)
    assert done.returncode != 0
    said = [line for line in done.stdout.splitlines() if not line.startswith("Using workflow specific profile")]
    assert said == [
        f"error: portions: {value!r} is not a number of jobs or devices from 1 on; write --config portions=4"
    ]


def test_a_project_that_may_only_be_read_is_one_line(new_project) -> None:
    project = new_project()
    project.run("chmod", "-R", "a-w", ".")
    done = project.run("snakemake", "--dry-run", check=False)
    project.run("chmod", "-R", "u+w", ".")
    said = [line for line in done.stdout.splitlines() if not line.startswith("Using workflow specific profile")]
    assert len(said) == 1 and said[0].startswith("error: .woodblock/stamps cannot be written to (Permission denied)")


@pytest.mark.parametrize(("given", "most", "one"), [("gpus=0", 0, 0), ("portions=1", 2, 1)])
def test_jobs_ask_for_gpus(new_project, given: str, most: int, one: int) -> None:
    """Of a cluster: as many as train.devices or gpus says for training, one for scoring; none where there are none."""
    project = new_project()
    project.edit("params.yaml", "  devices: 1", "  devices: 2")
    plan = project.run("snakemake", "--workflow-profile", "none", "--dry-run", "--config", given).stdout
    jobs = re.findall(r"^rule (\w+):\n((?:    .*\n)+)", plan, re.MULTILINE)
    asked = {rule: re.search(r" gpu=(\d+)", about) for rule, about in jobs}
    wanted = {"pretrain": most, "sft": most, "benchmark": one, "rag_eval": one}
    assert {name: int(found[1]) for name, found in asked.items() if found} == wanted


def test_a_circle_is_an_error_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "dvc.yaml"
    entry = "  {0}:\n    cmd: python src/{0}.py {1} {0}\n    deps: [{1}]\n    outs: [{0}]\n"
    file.write_text("stages:\n" + entry.format("a", "b") + entry.format("b", "a"))
    with pytest.raises(UserError, match=r"depend on each other in a circle: . → . → .; remove"):
        graph.load(file)


@pytest.mark.parametrize("text", ["", "stages", "a: [", "other: {}"])
def test_a_file_that_is_no_graph_is_an_error_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "dvc.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        graph.load(file)
    assert "\n" not in str(caught.value)
