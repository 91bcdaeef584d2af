# The shards of a stage as jobs of their own: `snakemake --config portions=4` runs four jobs, each of which does a
# quarter of the stage's shards and leaves them in the working state; the stage then finds them finished. The graph and
# the bytes stay as they are. With `--executor slurm` or `--executor kubernetes` the jobs run wherever the engine sends
# them, as long as the machines share this folder.
PORTIONS = int(config.get("portions", 1))
SHARDED = [stage for stage in ("clean", "dedup") if stage in STALE]


def portions(stage):
    """The jobs that do a stage's shards beforehand; none where the stage is fresh or does them alone."""
    if PORTIONS == 1 or stage not in SHARDED:
        return []
    return [f".woodblock/portions/{stage}-{part}-of-{PORTIONS}" for part in range(1, PORTIONS + 1)]


rule portion:
    input:
        lambda wildcards: inputs(wildcards.stage),
    output:
        temp(touch(".woodblock/portions/{stage}-{part}-of-{all}")),
    log:
        "logs/{stage}-{part}-of-{all}.log",
    wildcard_constraints:
        stage="clean|dedup",
        part=r"\d+",
        all=r"\d+",
    threads: 1
    params:
        cmd=lambda wildcards: command(wildcards.stage),
    shell:
        "WOODBLOCK_SHARDS={wildcards.part}/{wildcards.all} {params.cmd} 2>&1 | tee {log}"
