# dvc.yaml in the form that rules read it, and which stages have to run.
#
# Snakemake's own triggers are not enough beside a second engine: outputs that DVC made have no metadata here, and a
# `git checkout` or a restored output has any modification time. So the lineage that each stage writes decides: the time
# of its stamp, which is new where the stage is stale, is the one time that counts. The deps are `ancient`, their times
# ignored, save those that a stale stage is about to make: through them, and not through its stamp, does Snakemake see
# that a stage has to follow.
import os
import sys
import time
from pathlib import Path

# At the end of the path: the scripts in src/ must shadow no module that Snakemake imports later.
sys.path.append(os.path.join(workflow.basedir, "src"))
# The stages run under the interpreter that runs Snakemake, also where .venv is not activated.
os.environ.update(PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]))

from woodblock.run import graph, lineage
from woodblock.run import params as params_module
from woodblock.base.errors import UserError

ADOPT = "PYTHONPATH=src python -m woodblock.run.adopt --finished"

try:
    VALUES = params_module.read()
    PARAMS = params_module.check(VALUES)
    PROCESSES = params_module.processes(VALUES)
    STAGES = graph.load()
    STALE = lineage.stale_stages(STAGES, VALUES)
except UserError as error:
    sys.exit(f"error: {error}")


def outputs(stage):
    """Every output of a stage; folders are marked as such."""
    return [path if Path(path).suffix else directory(path) for path in STAGES[stage].outs]


def inputs(stage):
    """The deps of a stage, and its stamp."""
    makers = graph.producers(STAGES)
    deps = [path if makers.get(path) in STALE else ancient(path) for path in STAGES[stage].deps]
    return [*deps, stamp(stage)]


def command(stage):
    return STAGES[stage].cmd


def stamp(stage):
    """The stage's stamp: older than any output where the stage is fresh, newer where it is stale."""
    path = Path(".woodblock/stamps", stage)
    if workflow.is_main_process:
        path.parent.mkdir(parents=True, exist_ok=True)
        # New content with the new time: Snakemake holds a file with a known checksum to be unchanged.
        path.write_text(f"{STALE[stage]} ({time.time_ns()})\n" if stage in STALE else "fresh\n", encoding="utf-8")
        if stage not in STALE:
            os.utime(path, (1, 1))
    return str(path)


PORTIONS = int(config.get("portions", 1))
SHARDED = [stage for stage in ("clean", "dedup") if stage in STALE]


def portions(stage):
    """The jobs that do a stage's shards beforehand; none where the stage is fresh or does them alone."""
    if PORTIONS == 1 or stage not in SHARDED:
        return []
    return [f".woodblock/portions/{stage}-{part}-of-{PORTIONS}" for part in range(1, PORTIONS + 1)]


if workflow.is_main_process:
    for stage, reason in STALE.items():
        print(f"{stage}: {reason}", file=sys.stderr)
