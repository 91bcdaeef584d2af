# A stage's shards can be jobs of their own. `snakemake --config portions=4` first runs four jobs. Each does a quarter of
# the stage's shards and leaves them in the working state. The stage then finds them finished. The graph and the bytes
# stay the same. With `--workflow-profile profiles/slurm` the jobs can run on other machines, if these share this folder
# (docs/clusters.md).
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
    conda:
        "../envs/pins.yaml"
    threads: 1
    params:
        cmd=lambda wildcards: command(wildcards.stage),
    shell:
        "WOODBLOCK_SHARDS={wildcards.part}/{wildcards.all} {params.cmd} 2>&1 | tee {log}"
