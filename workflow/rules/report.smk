rule report:
    input:
        inputs("report"),
    output:
        outputs("report"),
    log:
        "logs/report.log",
    threads: 1
    params:
        cmd=command("report"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"
