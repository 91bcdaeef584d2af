"""A copy of the project whose stages are stand-ins that take no time, and the commands that tests give it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"  # real data, where a machine has it

STAND_IN = '''"""A stand-in for a stage: every output holds the digest of all that the stage was given."""
import hashlib
import json
import os
import sys
import time
from importlib import import_module

from woodblock.run.stage import run_stage

digest = import_module("woodblock.base.digests").digest  # no import statement: each stage would have to declare it


def stand_in(params, *paths):
    given = hashlib.sha256()
    for path in paths:
        if path.exists():
            given.update(digest(path).encode())
    for leaf in params._leaves:
        value = params
        for part in leaf.split("."):
            value = getattr(value, part)
        given.update(f"{leaf}={value}".encode())
    for path in paths:
        if not path.exists():
            folder = path.suffix.startswith(".partial")
            if folder:
                path.mkdir()
            file = path / "part" if folder else path
            text = f"{given.hexdigest()} {path.name.split('.partial')[0]}"
            if path.suffix == ".csv":
                text = "step,tokens,val_bpb,val_loss\\n" + "".join(f"{i},{i},{i},{i}\\n" for i in range(3))
            file.write_text(json.dumps(text) if path.suffix == ".json" else text)
    with open("ran.log", "a") as log:
        print(os.path.basename(sys.argv[0]).removesuffix(".py"), file=log)
    return {"digest": int(given.hexdigest()[:8], 16)}


if __name__ == "__main__":
    run_stage(stand_in, scores={"digest": "digest"})
'''


AS_ORDINARY_USER = str(ROOT / "tests/support/as_ordinary_user.sh")  # before a command: it runs without root's rights


class Project:
    """A project in a folder of its own, and the commands that tests give it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this environment there, with no rights of root's; python, dvc, snakemake: this interpreter's."""
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS")}
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
        environment |= {"PYTHONDONTWRITEBYTECODE": "", **variables}
        done = subprocess.run(
            [AS_ORDINARY_USER, *command],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-4000:]}")
        return done

    def ran(self) -> list[str]:
        """The stages that ran since the last call."""
        log = self.folder / "ran.log"
        stages = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return sorted(stages)

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} does not hold {old!r}"
        file.write_text(text.replace(old, new, 1), encoding="utf-8")


def stand_in_project(folder: Path) -> Project:
    """The project with its real graph, rules, params and library, and stand-ins for the stages' scripts."""
    from woodblock.run import graph

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Snakefile", "dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", "requirements.txt"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "profiles").symlink_to("workflow/profiles")
    for name in ("workflow", "requirements", "presets", "src/woodblock"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (folder / ".gitignore").write_text((ROOT / ".gitignore").read_text() + "ran.log\n")
    stages = graph.load(ROOT / "dvc.yaml")
    made = graph.producers(stages)
    for stage in stages.values():
        (folder / f"src/{stage.name}.py").write_text(STAND_IN)
        for dep in stage.deps:
            if dep not in made and not (folder / dep).exists():
                (folder / dep).write_text("")  # a module that is still to be written
    project = Project(folder)
    (folder / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copy(ROOT / ".dvc" / name, folder / ".dvc" / name)
    project.run("git", "init", "--quiet")
    project.commit = lambda: project.run(
        *("git", "-c", "user.name=test", "-c", "user.email=test@localhost"), "commit", "--quiet", "-am", "test"
    )
    project.run("git", "add", "--all")
    project.commit()
    return project
