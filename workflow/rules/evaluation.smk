rule benchmark:
    input:
        inputs("benchmark"),
    output:
        outputs("benchmark"),
    params:
        cmd=command("benchmark"),
    log:
        "logs/benchmark.log",
    threads: PARAMS.threads
    resources:
        gpu=1,
    shell:
        "{params.cmd} 2>&1 | tee {log}"
