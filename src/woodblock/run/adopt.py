"""Write finished work on disk into dvc.lock, without running it again: `make adopt`, and Snakemake after every run.

Each stage puts its outputs into DVC's cache itself, as soon as it has finished (reuse.py). So nothing is lost where this
does not come about, because Snakemake was killed, or DVC is at work on dvc.lock; DVC finds the outputs all the same.

The lineage of a stage decides. If its command, params, deps or outputs differ from those in its lineage, the stage is
refused: `dvc commit` alone would record whatever lies on disk as the result of the present dvc.yaml. Snakemake reads the
lineage itself, so it needs no such step for what DVC made.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys

from woodblock.base.errors import UserError
from woodblock.base.progress import say
from woodblock.run import graph, lineage, params


def adopt(finished_only: bool) -> bool:
    """Commit every fresh stage to DVC: its outputs into the cache, their hashes into dvc.lock and the run cache.

    Returns whether all stages were taken. Says which are refused and why; with finished_only it does not. Without git,
    where DVC does not work at all, it says so and leaves DVC out. Raises UserError where DVC fails.
    """
    stages = graph.load()
    values = params.read()
    params.check(values)
    refused = lineage.stale_stages(stages, values)
    taken = [name for name in stages if name not in refused]
    if not finished_only:
        for name, reason in refused.items():
            say(f"error: {name} is not adopted: {reason}; run it")
    if taken:
        command = [sys.executable, "-m", "dvc", "commit", "--force", *taken]
        # Without src/ on its path: a script there could have the name of a module that DVC imports.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        reason = reason_of(done.stderr or done.stdout)
        if done.returncode and "is not a git repository" in reason:
            say("adopt: this folder is not a git repository, and without one there is no DVC; Snakemake needs neither")
        elif done.returncode:
            raise UserError(f"DVC says: {reason or f'exit code {done.returncode}'}; correct that, then: make adopt")
        else:
            say(f"in dvc.lock now: {', '.join(taken)}")
    return not refused


def reason_of(said: str) -> str:
    """Why DVC failed, in one line: what it printed, without the excerpt of a file and the invitation to ask for help."""
    lines = [line.strip() for line in said.partition("Having any troubles?")[0].splitlines()]
    kept = [line.removeprefix("ERROR: ") for line in lines if line and not re.match(r"\d+\s", f"{line} ")]
    reason = " ".join(kept).rstrip(".")
    broken = "dvc.lock' is invalid" in reason or "dvc.lock' validation failed" in reason
    return f"{reason}; git checkout dvc.lock brings the committed one back" if broken else reason


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m woodblock.run.adopt", description=__doc__.splitlines()[0])
    parser.add_argument("--finished", action="store_true", help="take the fresh stages, and do not report the others")
    finished_only = parser.parse_args().finished
    try:
        complete = adopt(finished_only)
    except UserError as error:
        say(f"{'' if finished_only else 'error: '}adopt: {error}")
        sys.exit(0 if finished_only else 1)  # the run itself is complete, and DVC's cache has what it made
    sys.exit(0 if complete or finished_only else 1)


if __name__ == "__main__":
    main()
