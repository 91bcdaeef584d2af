"""Adoption gives DVC's own reason where DVC fails, in one line, and does without DVC where there is no git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.one_stage import good

from woodblock.run import adopt, stage

HELP = "\n\nHaving any troubles? Hit us up at https://dvc.org/support, we are always happy to help!\n"
BACK = "git checkout dvc.lock brings the committed one back"
SAID = {  # what DVC prints, and what is said of it
    "locked": (
        f"ERROR: failed to commit clean - Unable to acquire lock. Most likely another DVC process is running.{HELP}",
        "failed to commit clean - Unable to acquire lock. Most likely another DVC process is running",
    ),
    "damaged": (
        "'./dvc.lock' is invalid.\n\nWhile parsing a flow node, in line 2, column 1\n  2 a: [      \n  3      \n",
        f"'./dvc.lock' is invalid. While parsing a flow node, in line 2, column 1; {BACK}",
    ),
    "another form": (
        "'./dvc.lock' validation failed.\n\nexpected a dictionary, in stages\n  2 stages: 3",
        f"'./dvc.lock' validation failed. expected a dictionary, in stages; {BACK}",
    ),
    "read-only": (
        f"ERROR: unexpected error - [Errno 13] Permission denied: '/p/dvc.lock'{HELP}",
        "unexpected error - [Errno 13] Permission denied: '/p/dvc.lock'",
    ),
    "silent": ("", "exit code 7"),
}


@pytest.fixture
def dvc_says(here: Path, monkeypatch: pytest.MonkeyPatch):
    """A finished stage, and a DVC that fails with the given words."""
    stage.run_stage(good)
    run = subprocess.run

    def set_words(words: str) -> None:
        def fail(command, **options):
            assert command[1:4] == ["-m", "dvc", "commit"]
            return run(["sh", "-c", 'printf %s "$0" >&2; exit 7', words], **options)

        monkeypatch.setattr(adopt.subprocess, "run", fail)

    return set_words


@pytest.mark.parametrize("how", SAID)
@pytest.mark.parametrize("finished_only", [True, False])
def test_the_reason_is_dvcs_own(dvc_says, capsys, monkeypatch, how: str, finished_only: bool) -> None:
    words, reason = SAID[how]
    dvc_says(words)
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["adopt", *["--finished"][: int(finished_only)]])
    with pytest.raises(SystemExit) as caught:
        adopt.main()
    assert caught.value.code == (0 if finished_only else 1), "after a run, its results are complete all the same"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.removeprefix("error: ") == f"adopt: DVC says: {reason}; correct that, then: make adopt"


def test_without_git_dvc_is_left_out(dvc_says, capsys) -> None:
    dvc_says("ERROR: /tmp/project is not a git repository")
    capsys.readouterr()
    assert adopt.adopt(finished_only=False)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "adopt: this folder is not a git repository, and without one there is no DVC; Snakemake needs neither"
    )
