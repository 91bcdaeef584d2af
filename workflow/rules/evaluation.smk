rule benchmark:
    input:
        inputs("benchmark"),
    output:
        outputs("benchmark"),
    log:
        "logs/benchmark.log",
    threads: PARAMS.threads
    resources:
        gpu=1,
    params:
        cmd=command("benchmark"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"
