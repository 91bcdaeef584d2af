rule report:
    input:
        inputs("report"),
    output:
        outputs("report"),
    log:
        "logs/report.log",
    conda:
        "../envs/pins.yaml"
    threads: 1
    params:
        cmd=command("report"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"
