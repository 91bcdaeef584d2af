# Woodblock under Snakemake: `snakemake --cores 8`. The graph is dvc.yaml's; the rules add what only Snakemake knows.
include: "workflow/rules/common.smk"


rule all:
    default_target: True
    input:
        [path for stage in STAGES.values() for path in stage.outs],


include: "workflow/rules/shards.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/retrieval.smk"
include: "workflow/rules/report.smk"


# Outputs that Snakemake made go into DVC's cache too, so that the last good ones come back without computing.
onsuccess:
    shell(ADOPT)


onerror:
    shell(ADOPT)
