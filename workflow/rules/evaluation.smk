rule benchmark:
    input:
        inputs("benchmark"),
    output:
        outputs("benchmark"),
    log:
        "logs/benchmark.log",
    conda:
        "../envs/pins.yaml"
    threads: PARAMS.threads
    resources:
        gpu=min(GPUS, 1),
    params:
        cmd=command("benchmark"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"
