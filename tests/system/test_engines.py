"""Two engines, one truth: what one of them has made, neither runs again; what changed, both run again.

Stand-ins take the place of the stages' scripts, save in the last test: graph, rules, library and engines are real.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.projects import AS_ORDINARY_USER, ROOT, Project, stand_in_project

from woodblock.run import graph

pytestmark = pytest.mark.slow

STAGES = graph.load(ROOT / "dvc.yaml")
ALL = sorted(STAGES)
AFTER_SFT = ["benchmark", "rag_eval", "report", "sft"]
AFTER_RETRIEVAL = ["rag_eval", "rag_index", "report"]
SNAKEMAKE = ("snakemake", "--cores", "8", "--quiet", "rules")
DVC = ("dvc", "repro")
ENGINES = pytest.mark.parametrize(("first", "second"), [(SNAKEMAKE, DVC), (DVC, SNAKEMAKE)], ids=["snakemake", "dvc"])
LEARNING_RATE = (
    "sed",
    "-i.before",
    r"/^sft:/,/^[a-z]/ s/^  learning_rate: .*/  learning_rate: 0.00123/",
    "params.yaml",
)


def kept(project: Project) -> dict[str, str]:
    """sha256 of every file of every output that equal runs make equal."""
    digests = {}
    for stage in STAGES.values():
        for out in stage.outs:
            if out.startswith("timings/"):
                continue
            path = project.folder / out
            for file in [path] if path.is_file() else sorted(path.rglob("*")):
                if file.is_file() and file.name != ".snakemake_timestamp":
                    name = file.relative_to(project.folder).as_posix()
                    digests[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return digests


def planned(project: Project) -> tuple[list[str], list[str]]:
    """What each engine would run now: (Snakemake's stages, DVC's)."""
    dry = project.run("snakemake", "--cores", "8", "--dry-run").stdout
    snakemake = sorted({line.split()[1].rstrip(":") for line in dry.splitlines() if line.startswith("rule ")})
    snakemake += sorted({line.split()[1].rstrip(":") for line in dry.splitlines() if line.startswith("localrule ")})
    status = json.loads(project.run("dvc", "status", "--json").stdout.splitlines()[-1])
    dvc = set(status)
    for name in STAGES:  # status names the stages that changed themselves
        if graph.upstream(STAGES, name) & dvc:
            dvc.add(name)
    return sorted(set(snakemake) - {"all"}), sorted(dvc)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Project]:
    """The project after a run by each engine, with different hash seeds and with bytecode written."""
    projects = {}
    for engine, seed in ((SNAKEMAKE, "1"), (DVC, "2")):
        project = stand_in_project(tmp_path_factory.mktemp(engine[0]) / "project")
        done = project.run(*engine, PYTHONHASHSEED=seed)
        assert project.ran() == ALL
        assert engine is DVC or "workflow specific profile" in done.stdout
        assert list((project.folder / "src/woodblock/__pycache__").iterdir())
        projects[engine] = project
    return projects


@pytest.fixture
def after(finished: dict[tuple[str, ...], Project], tmp_path: Path):
    """A copy of the project as an engine left it."""

    def copy(engine: tuple[str, ...]) -> Project:
        return Project(Path(shutil.copytree(finished[engine].folder, tmp_path / "project", symlinks=True)))

    return copy


def test_a_run_changes_no_file_that_git_knows(finished) -> None:
    """One file is new to git: dvc.lock, the record of this run."""
    for project in finished.values():
        assert project.run("git", "status", "--porcelain", "--untracked-files=all").stdout == "?? dvc.lock\n"


def test_equal_bytes(finished) -> None:
    first, second = (kept(project) for project in finished.values())
    assert first == second
    assert len(first) > 30


@ENGINES
def test_nothing_changed(after, first, second) -> None:
    project = after(first)
    for engine in (first, second, first):
        project.run(*engine)
        assert project.ran() == []
    assert planned(project) == ([], [])


@ENGINES
def test_times_alone_change_nothing(after, first, second) -> None:
    project = after(first)
    tops = [project.folder / top for top in ("src", "data", "models", "lineage", "requirements", "params.yaml")]
    for time_of_all in (None, (1, 1)):
        for path in (file for top in tops for file in [top, *top.rglob("*")]):
            os.utime(path, time_of_all)
        assert planned(project) == ([], [])
    project.run(*second)
    assert project.ran() == []


@pytest.mark.parametrize(
    ("command", "stages"),
    [
        (LEARNING_RATE, AFTER_SFT),
        (("bash", "-c", "echo 'CHANGED = 1' >> src/woodblock/retrieval/bm25.py"), AFTER_RETRIEVAL),
        (("bash", "-c", "echo 'CHANGED = 1' >> src/woodblock/base/rounding.py"), ALL),
        (("bash", "-c", "echo 'CHANGED = 1' >> src/woodblock/run/lineage.py"), []),
        (("sed", "-i.before", "s/^torch==.*/torch==2.14.0/", "requirements/torch.txt"), ["pretrain", *AFTER_SFT]),
        (("sed", "-i.before", "s/^pytest==.*/pytest==1.0/", "requirements/development.txt"), []),
        (("bash", "-c", "chmod u+w models/sft/part; echo x > models/sft/part"), AFTER_SFT),
        (("rm", "-r", "data/index"), AFTER_RETRIEVAL),
        (("rm", "timings/rag_index.json"), AFTER_RETRIEVAL),
        (
            ("sed", "-i.before", "s/python src.pack.py /python src\\/pack.py -v /", "dvc.yaml"),
            ["pack", "pretrain", *AFTER_SFT],
        ),
    ],
    ids=[
        "learning rate",
        "retrieval",
        "everywhere",
        "machinery",
        "torch",
        "pytest",
        "output",
        "gone",
        "timings",
        "command",
    ],
)
def test_what_changed_runs_again_and_what_follows(after, command, stages) -> None:
    project = after(SNAKEMAKE)
    project.run(*command)
    assert planned(project) == (sorted(stages), sorted(stages))


def comment(project: Project) -> None:
    """Other comments, docstrings and blank lines in code of clean and of the model."""
    for name in ("cleaning/quality.py", "models/decoder.py"):
        path = project.folder / "src/woodblock" / name
        text = path.read_text(encoding="utf-8")
        path.write_text(
            f'"""Said otherwise."""\n# A comment.\n\n{text.split(chr(34) * 3, 2)[2]}\n# The end.\n', encoding="utf-8"
        )


def move(project: Project) -> None:
    """A file of code in another package, as a person moves it: imports follow, `make graph` writes the deps."""
    source = project.folder / "src/woodblock"
    (source / "cleaning/quality.py").rename(source / "tables/quality.py")
    project.edit("src/woodblock/cleaning/steps.py", "from woodblock.cleaning.quality", "from woodblock.tables.quality")
    graph_file = project.folder / "dvc.yaml"
    text = graph_file.read_text(encoding="utf-8")
    graph_file.write_text(
        text.replace("woodblock/cleaning/quality.py", "woodblock/tables/quality.py"), encoding="utf-8"
    )


@pytest.mark.parametrize("change", [comment, move])
def test_what_no_statement_says_runs_nothing_again(after, change) -> None:
    project = after(SNAKEMAKE)
    before = kept(project)
    change(project)
    assert planned(project)[0] == []
    done = project.run(*DVC)
    assert set(project.ran()) <= {"report"}
    assert "clean: nothing it reads has changed" in done.stdout
    assert {name for name, sha in kept(project).items() if before[name] != sha} <= {
        "lineage/clean.json",
        "lineage/report.json",
    }
    assert planned(project) == ([], [])


@ENGINES
def test_both_engines_stop_where_nothing_changed(after, first, second) -> None:
    """Clean runs again and writes the same (a stand-in's outputs do not depend on its code): nothing else computes."""
    project = after(first)
    before = kept(project)
    project.run("bash", "-c", "echo 'CHANGED = 1' >> src/woodblock/cleaning/quality.py")
    project.run(*second)
    assert project.ran() == ["clean", "report"]
    changed = {name for name, sha in kept(project).items() if before[name] != sha}
    assert changed == {"lineage/clean.json", "lineage/report.json"}
    assert planned(project) == ([], [])
    project.run(*first)
    assert project.ran() == []


@ENGINES
@pytest.mark.parametrize(
    "command",
    [("rm", "-r", "data/index"), ("chmod", "a-w", "data/index/part", "lineage/rag_index.json")],
    ids=["gone", "read-only"],
)
def test_outputs_that_are_gone_or_read_only_are_made_again(after, first, second, command) -> None:
    """As a user who is not root: an older DVC cache left outputs as read-only links into it."""
    project = after(first)
    before = kept(project)
    project.run(*command)
    project.run("bash", "-c", "echo 'CHANGED = 1' >> src/woodblock/retrieval/bm25.py")
    project.run(*second)
    assert project.ran() == AFTER_RETRIEVAL
    assert {name for name, sha in kept(project).items() if before[name] != sha} <= {
        f"lineage/{stage}.json" for stage in AFTER_RETRIEVAL
    }
    assert planned(project) == ([], [])


def test_forcing_a_rule_as_an_ordinary_user(after) -> None:
    project = after(DVC)
    project.run(*SNAKEMAKE, "--forcerun", "rag_index", WOODBLOCK_COMPUTE="1")
    assert "rag_index" in project.ran()
    assert planned(project) == ([], [])


@ENGINES
@pytest.mark.parametrize("path", ["lineage/pack.json", "report.html"])
def test_an_output_that_was_edited_in_place_is_made_again(after, first, second, path) -> None:
    """It is a copy of what stands in DVC's cache, so the edit does not reach that, and the cache gives it back."""
    project = after(first)
    before = kept(project)
    project.run("bash", "-c", f"echo x > {path}")
    project.run(*second)
    assert set(project.ran()) <= {"report"}
    assert kept(project) == before
    assert planned(project) == ([], [])


def test_the_outputs_of_a_commit_come_back_with_it(after) -> None:
    """The report's page too: it must not be another run's after a checkout."""
    project = after(SNAKEMAKE)
    before = kept(project)
    project.run("git", "add", "--all")
    project.run("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "-m", "finished")
    project.run(*LEARNING_RATE)
    project.run(*DVC)
    assert kept(project)["report.html"] == before["report.html"], "a stand-in's page does not change: spoil it"
    project.run("bash", "-c", ": > report.html")
    assert planned(project) == (["report"], ["report"])
    project.run("git", "checkout", "--quiet", ".")
    project.run("dvc", "checkout", "--quiet", "--force")
    assert kept(project) == before
    assert planned(project) == ([], [])


def test_what_could_be_taken_back_is_computed_where_that_is_asked(after) -> None:
    project = after(SNAKEMAKE)
    project.run("dvc", "repro", "--force", "--single-item", "rag_index")
    assert project.ran() == []
    project.run("dvc", "repro", "--force", "--single-item", "rag_index", WOODBLOCK_COMPUTE="1")
    assert project.ran() == ["rag_index"]


@ENGINES
def test_a_changed_param_runs_its_stage_and_what_follows(after, first, second) -> None:
    project = after(first)
    project.run(*LEARNING_RATE)
    project.run(*second)
    assert project.ran() == AFTER_SFT
    assert planned(project) == ([], [])
    project.run(*first)
    assert project.ran() == []


def test_params_that_will_not_do_are_one_line_of_snakemakes(after) -> None:
    project = after(SNAKEMAKE)
    before = kept(project)
    project.edit("params.yaml", "sft:", "sft:\n  lerning_rate: 1")
    done = project.run("snakemake", "--cores", "8", check=False)
    assert done.returncode != 0
    said = [line for line in done.stdout.splitlines() if not line.startswith("Using workflow specific profile")]
    assert said == ["error: params.yaml: sft.lerning_rate: 1 is an unknown key; did you mean learning_rate?"]
    done = project.run("dvc", "repro", check=False)  # report watches the whole file: the other stages are up to date
    assert done.returncode != 0
    assert (
        "error: report: params.yaml: sft.lerning_rate: 1 is an unknown key; did you mean learning_rate?" in done.stdout
    )
    project.edit("params.yaml", "  lerning_rate: 1\n", "")
    project.edit("params.yaml", "  heads: ", "  heads: 997")
    done = project.run("dvc", "repro", check=False)
    assert done.returncode != 0
    assert "error: pretrain: params.yaml: model.heads: 997" in done.stdout
    assert "Traceback" not in done.stdout
    assert project.ran() == []
    project.edit("params.yaml", "  heads: 997", "  heads: ")
    project.run(*DVC)
    assert project.ran() == []
    assert kept(project) == before


@ENGINES
def test_a_value_and_back_computes_nothing(after, first, second) -> None:
    project = after(first)
    before = kept(project)
    project.run(*LEARNING_RATE)
    project.run(*second)
    assert project.ran() == AFTER_SFT
    assert kept(project) != before
    project.run("mv", "params.yaml.before", "params.yaml")
    project.run(*second)
    assert project.ran() == []
    assert kept(project) == before
    project.run(*first)
    assert project.ran() == []


@ENGINES
def test_a_failure_loses_nothing(after, first, second) -> None:
    project = after(first)
    before = kept(project)
    script = project.folder / "src/sft.py"
    text = script.read_text()
    script.write_text(text.replace("    given = hashlib", "    raise SystemExit('no')\n    given = hashlib"))
    assert project.run(*second, check=False).returncode != 0
    now = kept(project)
    assert {name: digest for name, digest in now.items() if "sft" not in name and before[name] != digest} == {}
    script.write_text(text)
    project.run(*DVC)
    assert project.ran() == []
    assert kept(project) == before


@ENGINES
def test_what_a_killed_engine_had_finished_is_not_computed_again(after, first, second) -> None:
    """Neither what it had finished, nor the stage that went on without it."""
    project = after(first)
    script = project.folder / "src/sft.py"
    waiting = "    open('started', 'w').close()\n    while os.path.exists('wait'):\n        time.sleep(0.05)\n"
    script.write_text(script.read_text().replace("    given = hashlib", f"{waiting}    given = hashlib"))
    project.run("bash", "-c", "touch wait; echo 'CHANGED = 1' >> src/woodblock/base/rounding.py")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [AS_ORDINARY_USER, *first]
    process = subprocess.Popen(
        command, cwd=project.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (project.folder / "started").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    before = (
        (project.folder / "lineage/sft.json").read_bytes() if (project.folder / "lineage/sft.json").exists() else b""
    )
    (project.folder / "wait").unlink()
    while (
        not (project.folder / "lineage/sft.json").exists()
        or (project.folder / "lineage/sft.json").read_bytes() == before
    ):
        time.sleep(0.05)
    with (project.folder / ".woodblock/locks/sft").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the stage has ended
    finished = set(project.ran())
    assert {"clean", "dedup", "tokenizer", "pack", "pretrain", "sft"} <= finished
    project.run(*second)
    assert not finished & set(project.ran())
    if first is SNAKEMAKE:
        project.run("snakemake", "--unlock")
    project.run(*first)
    assert project.ran() == []


def test_a_folder_without_git(after) -> None:
    """An unpacked zip: Snakemake runs the pipeline, and a change that is taken back computes nothing."""
    project = after(SNAKEMAKE)
    before = kept(project)
    shutil.rmtree(project.folder / ".git")
    project.run(*LEARNING_RATE)
    done = project.run(*SNAKEMAKE)
    assert project.ran() == AFTER_SFT
    assert "adopt: this folder is not a git repository" in done.stdout
    project.run("mv", "params.yaml.before", "params.yaml")
    project.run(*SNAKEMAKE)
    assert project.ran() == []
    assert kept(project) == before


def test_adoption_refuses_what_does_not_match(after) -> None:
    project = after(SNAKEMAKE)
    lock = (project.folder / "dvc.lock").read_bytes()
    project.run(*LEARNING_RATE)
    done = project.run(sys.executable, "-m", "woodblock.run.adopt", check=False, PYTHONPATH="src")
    assert done.returncode == 1
    refused = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert len(refused) == 4
    assert any(r.startswith("error: sft is not adopted: sft.learning_rate changed from ") for r in refused)
    assert "error: report is not adopted: it follows benchmark; run it" in refused
    assert (project.folder / "dvc.lock").read_bytes() == lock


def test_experiments_metrics_and_plots(after) -> None:
    project = after(SNAKEMAKE)
    project.run("git", "add", "--all")
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    project.run("git", *identity, "commit", "--quiet", "-m", "finished")
    environment = {f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    project.run("dvc", "exp", "run", "--set-param", "sft.learning_rate=0.0005", **environment)
    assert project.ran() == AFTER_SFT
    shown = json.loads(project.run("dvc", "metrics", "diff", "--json").stdout)
    assert set(shown) == {f"scores/{stage}.json" for stage in AFTER_SFT if stage in ("sft", "benchmark", "rag_eval")}
    assert "scores/pretrain.json" in project.run("dvc", "metrics", "show", "--md").stdout
    assert "file://" in project.run("dvc", "plots", "diff").stdout
    project.run(*SNAKEMAKE)
    assert project.ran() == []


def test_experiments_in_a_copy(after) -> None:
    project = after(DVC)
    project.run("git", "add", "--all")
    project.run("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "-m", "finished")
    environment = {f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    before = kept(project)
    project.run("dvc", "exp", "run", "--temp", "--set-param", "sft.learning_rate=0.0005", **environment)
    assert kept(project) == before, "the workspace stays as it is"
    assert "0.0005" in project.run("dvc", "exp", "show", "--csv").stdout


@pytest.mark.network
def test_the_tiny_preset_has_equal_bytes_by_either_engine(tmp_path: Path) -> None:
    """The real stages, in two clean clones of the last commit, with different hash seeds and bytecode written."""
    projects = []
    for engine, seed in ((("snakemake", "--cores", "8"), "1"), (DVC, "2")):
        project = Project(tmp_path / engine[0])
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project.folder)], check=True)
        project.run(sys.executable, "-m", "woodblock.run.presets", "tiny", PYTHONPATH="src")
        start = time.perf_counter()
        project.run(*engine, PYTHONHASHSEED=seed)
        print(f"{engine[0]}: {time.perf_counter() - start:.0f} s")
        assert list((project.folder / "src/woodblock/__pycache__").iterdir())
        projects.append(project)
    first, second = (kept(project) for project in projects)
    for digests in (first, second):
        del digests["report.html"], digests["lineage/report.json"]  # the page shows how long the run took
    assert first == second
    assert {"models/base/model.safetensors", "models/sft/model.safetensors", "models/tokenizer/tokenizer.json"} <= set(
        first
    )
    for project in projects:
        assert planned(project) == ([], [])


@ENGINES
def test_files_dated_in_the_future_change_nothing(after, first, second) -> None:
    """An unpacked zip, a network share or a virtual machine's clock gives such times."""
    project = after(first)
    project.run(
        "touch",
        "-d",
        "+2 days",
        "src/pack.py",
        "src/woodblock/tokens/packing.py",
        "requirements/data.txt",
        "params.yaml",
    )
    assert planned(project) == ([], [])
    project.run(
        "bash",
        "-c",
        "echo 'CHANGED = 1' >> src/woodblock/retrieval/bm25.py; touch -d '+2 days' src/woodblock/retrieval/bm25.py",
    )
    project.run(*second)
    assert project.ran() == AFTER_RETRIEVAL
    assert planned(project) == ([], [])
    project.run(*first)
    assert project.ran() == []
