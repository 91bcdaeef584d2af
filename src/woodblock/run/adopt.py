"""Hand work that is on disk to DVC, without running it again: `make adopt`, and Snakemake after every run.

The lineage of a stage decides, as it does for Snakemake, which therefore needs nothing handed over. A stage whose
command, params, deps or outputs are not those that its lineage holds is refused: `dvc commit` alone would record
whatever lies there as the result of what dvc.yaml says now.
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

    Returns whether all stages were taken. Says which are refused and why, unless finished_only asks for those that
    are fresh and no others. Raises UserError where DVC fails.
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
        # Without src/ on its path: the scripts there must shadow no module that DVC imports.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise UserError(f"dvc commit: {lines[-1] if lines else f'exit code {done.returncode}'}; then: make adopt")
        say(f"in DVC's cache now: {', '.join(taken)}")
    return not refused


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m woodblock.run.adopt", description=__doc__.splitlines()[0])
    parser.add_argument("--finished", action="store_true", help="take what is fresh, and say nothing of the rest")
    finished_only = parser.parse_args().finished
    try:
        complete = adopt(finished_only)
    except UserError as error:
        sys.exit(f"error: adopt: {error}")
    sys.exit(0 if complete or finished_only else 1)


if __name__ == "__main__":
    main()
