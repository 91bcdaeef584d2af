rule download:
    input:
        inputs("download"),
    output:
        outputs("download"),
    params:
        cmd=command("download"),
    log:
        "logs/download.log",
    threads: 1
    shell:
        "{params.cmd} 2>&1 | tee {log}"


rule clean:
    input:
        inputs("clean"),
    output:
        outputs("clean"),
    params:
        cmd=command("clean"),
    log:
        "logs/clean.log",
    threads: 1
    shell:
        "{params.cmd} 2>&1 | tee {log}"


rule tokenizer:
    input:
        inputs("tokenizer"),
    output:
        outputs("tokenizer"),
    params:
        cmd=command("tokenizer"),
    log:
        "logs/tokenizer.log",
    threads: PARAMS.threads
    shell:
        "{params.cmd} 2>&1 | tee {log}"


rule pack:
    input:
        inputs("pack"),
    output:
        outputs("pack"),
    params:
        cmd=command("pack"),
    log:
        "logs/pack.log",
    threads: PARAMS.threads
    shell:
        "{params.cmd} 2>&1 | tee {log}"
