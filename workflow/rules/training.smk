rule pretrain:
    input:
        inputs("pretrain"),
    output:
        outputs("pretrain"),
    params:
        cmd=command("pretrain"),
    log:
        "logs/pretrain.log",
    threads: PARAMS.threads
    resources:
        gpu=1,
    shell:
        "{params.cmd} 2>&1 | tee {log}"


rule sft:
    input:
        inputs("sft"),
    output:
        outputs("sft"),
    params:
        cmd=command("sft"),
    log:
        "logs/sft.log",
    threads: PARAMS.threads
    resources:
        gpu=1,
    shell:
        "{params.cmd} 2>&1 | tee {log}"
