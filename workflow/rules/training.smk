rule pretrain:
    input:
        inputs("pretrain"),
    output:
        outputs("pretrain"),
    log:
        "logs/pretrain.log",
    conda:
        "../envs/pins.yaml"
    threads: PARAMS.threads
    resources:
        gpu=GPUS,
    params:
        cmd=command("pretrain"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"


rule sft:
    input:
        inputs("sft"),
    output:
        outputs("sft"),
    log:
        "logs/sft.log",
    conda:
        "../envs/pins.yaml"
    threads: PARAMS.threads
    resources:
        gpu=GPUS,
    params:
        cmd=command("sft"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"
