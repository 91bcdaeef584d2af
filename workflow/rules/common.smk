# Reads dvc.yaml for the rules, and finds which stages are stale: these have to run.
#
# Snakemake's own triggers are not enough beside a second engine. For outputs that DVC made there is no metadata here. After
# a `git checkout`, or when an output was restored, its modification time means nothing. So the lineage decides that each
# stage writes. Every stage has a stamp, a small file among its inputs, and the time of the stamp is the only time that
# counts: it is new if the stage is stale. The deps are marked `ancient`, so Snakemake ignores their times. Only the deps
# that a stale stage is about to make are not marked. Snakemake learns from these deps, and not from the stamp, that the
# next stage has to run after them.
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

# src/ comes last in the path: its scripts must not hide a module that Snakemake imports later.
sys.path.append(os.path.join(workflow.basedir, "src"))
# The stages run with the interpreter that runs Snakemake, even if .venv is not activated.
os.environ.update(PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]))

from woodblock.run import graph, lineage
from woodblock.run import params as params_module
from woodblock.run.settings import roles
from woodblock.base.errors import UserError
from woodblock.base.files import end_at_now, make_writable, write_text

ADOPT = "PYTHONPATH=src python -m woodblock.run.adopt --finished"

STAMPS = Path(".woodblock/stamps")
if workflow.is_main_process:
    try:
        for folder in (STAMPS, Path(".snakemake")):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        sys.exit(
            f"error: {folder} cannot be written to ({error.strerror}). Snakemake keeps records in the project, also with "
            "-n: try it in a copy"
        )

try:
    VALUES = params_module.read()
    PARAMS = params_module.check(VALUES)
    PROCESSES = params_module.processes(VALUES)
    STAGES = graph.load()
    STALE = lineage.stale_stages(STAGES, VALUES)
    os.environ.update(WOODBLOCK_STALE=" ".join(STALE))  # a stage that runs and is not stale was forced
    # Snakemake deletes what a stage has made if it is older than what the stage read: no dep may be of the future.
    for dep in {dep for stage in STALE for dep in STAGES[stage].deps} if workflow.is_main_process else ():
        end_at_now(Path(dep))
except UserError as error:
    sys.exit(f"error: {error}")


def outputs(stage):
    """Every output of a stage. Folders are marked with directory()."""
    return [path if Path(path).suffix else directory(path) for path in STAGES[stage].outs]


def inputs(stage):
    """The deps of a stage, and its stamp."""
    makers = graph.producers(STAGES)
    deps = [path if makers.get(path) in STALE else ancient(path) for path in STAGES[stage].deps]
    return [*deps, stamp(stage)]


def command(stage):
    return STAGES[stage].cmd


def stamp(stage):
    """The stage's stamp. It is newer than every output if the stage is stale, and older if the stage is fresh."""
    path = STAMPS / stage
    if workflow.is_main_process:
        # The content is new too: Snakemake takes a file with a known checksum as unchanged, whatever its time.
        write_text(path, f"{STALE[stage]} ({time.time_ns()})\n" if stage in STALE else "fresh\n")
        if stage not in STALE:
            os.utime(path, (1, 1))
    return str(path)


def number(name, default, least):
    """A number of --config."""
    value = str(config.get(name, default))
    if not value.isdecimal() or int(value) < least:
        sys.exit(
            f"error: {name}: {value!r} is not a number of jobs or devices from {least} on; write --config {name}=4"
        )
    return int(value)


PORTIONS = number("portions", 1, 1)
# GPUs that a training job asks for on a cluster; 0 on one that has none. On one machine it counts as one, whatever it is.
GPUS = number("gpus", PARAMS.train.devices if isinstance(PARAMS.train.devices, int) else 1, 0)
SHARDED = [stage for stage in ("clean", "dedup") if stage in STALE]


def portions(stage):
    """The jobs that do a stage's shards before it runs. None if the stage is fresh, or if it does its shards itself."""
    if PORTIONS == 1 or stage not in SHARDED:
        return []
    return [f".woodblock/portions/{stage}-{part}-of-{PORTIONS}" for part in range(1, PORTIONS + 1)]


if workflow.is_main_process:
    if switched_off := roles.line(VALUES):
        print(switched_off, file=sys.stderr)
    for stage, reason in STALE.items():
        print(f"{stage}: {reason}", file=sys.stderr)
    # A DVC cache of type hardlink leaves outputs read-only, and Snakemake does not replace what is read-only.
    for out in graph.producers(STAGES):
        with contextlib.suppress(OSError):  # a project of somebody else: what cannot be written will be said later
            make_writable(Path(out))
