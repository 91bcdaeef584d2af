rule report:
    input:
        inputs("report"),
    output:
        outputs("report"),
    params:
        cmd=command("report"),
    log:
        "logs/report.log",
    threads: 1
    shell:
        "{params.cmd} 2>&1 | tee {log}"
