rule download:
    input:
        inputs("download"),
    output:
        outputs("download"),
    log:
        "logs/download.log",
    conda:
        "../envs/pins.yaml"
    threads: 1
    params:
        cmd=command("download"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"


rule clean:
    input:
        inputs("clean"),
        portions("clean"),
    output:
        outputs("clean"),
    log:
        "logs/clean.log",
    conda:
        "../envs/pins.yaml"
    threads: PROCESSES
    params:
        cmd=command("clean"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"


rule dedup:
    input:
        inputs("dedup"),
        portions("dedup"),
    output:
        outputs("dedup"),
    log:
        "logs/dedup.log",
    conda:
        "../envs/pins.yaml"
    threads: PROCESSES
    params:
        cmd=command("dedup"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"


rule tokenizer:
    input:
        inputs("tokenizer"),
    output:
        outputs("tokenizer"),
    log:
        "logs/tokenizer.log",
    conda:
        "../envs/pins.yaml"
    threads: PARAMS.threads
    params:
        cmd=command("tokenizer"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"


rule pack:
    input:
        inputs("pack"),
    output:
        outputs("pack"),
    log:
        "logs/pack.log",
    conda:
        "../envs/pins.yaml"
    threads: PROCESSES
    params:
        cmd=command("pack"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"
