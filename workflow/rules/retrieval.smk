rule rag_index:
    input:
        inputs("rag_index"),
    output:
        outputs("rag_index"),
    log:
        "logs/rag_index.log",
    conda:
        "../envs/pins.yaml"
    threads: PARAMS.threads
    params:
        cmd=command("rag_index"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"


rule rag_eval:
    input:
        inputs("rag_eval"),
    output:
        outputs("rag_eval"),
    log:
        "logs/rag_eval.log",
    conda:
        "../envs/pins.yaml"
    threads: PARAMS.threads
    resources:
        gpu=min(GPUS, 1),
    params:
        cmd=command("rag_eval"),
    shell:
        "{params.cmd} 2>&1 | tee {log}"
