"""Give finished work on disk to DVC, without running it again: `make adopt`, and Snakemake after every run.

The lineage of a stage decides. If its command, params, deps or outputs differ from those in its lineage, the stage is
refused: `dvc commit` alone would record whatever lies on disk as the result of the present dvc.yaml. Snakemake reads the
lineage itself, so it needs no such step for what DVC made.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from woodblock.base.errors import UserError
from woodblock.base.progress import say
from woodblock.run import graph, lineage, params


def adopt(finished_only: bool) -> bool:
    """Commit every fresh stage to DVC: its outputs into the cache, their hashes into dvc.lock and the run cache.

    Returns whether all stages were taken. Says which are refused and why; with finished_only it does not. Raises
    UserError where DVC fails.
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
        command = [sys.executable, "-m", "dvc", "commit", "--quiet", "--force", *taken]
        # Without src/ on its path: a script there could have the name of a module that DVC imports.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise UserError(
                f"dvc commit failed: {lines[-1] if lines else f'exit code {done.returncode}'}; correct that, then run make "
                "adopt again"
            )
        say(f"in DVC's cache now: {', '.join(taken)}")
    return not refused


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m woodblock.run.adopt", description=__doc__.splitlines()[0])
    parser.add_argument("--finished", action="store_true", help="take the fresh stages, and do not report the others")
    finished_only = parser.parse_args().finished
    try:
        complete = adopt(finished_only)
    except UserError as error:
        sys.exit(f"error: adopt: {error}")
    sys.exit(0 if complete or finished_only else 1)


if __name__ == "__main__":
    main()
