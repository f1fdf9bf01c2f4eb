# The settings as one file, the teacher in canonical form, and tools of the evaluation.
# Rules take the settings as `ancient`: what a job depends on is in its params, so that
# editing one student's settings retrains that student only.


rule settings:
    output:
        SETTINGS,
    log:
        f"{OUT}/logs/settings.log",
    conda:
        ENVIRONMENT
    params:
        content=RUN.model_dump_json(indent=1),
    message:
        "Writing the settings of this run"
    shell:
        "printf '%s\\n' {params.content:q} > {output:q} 2> {log:q}"


rule prepare:
    output:
        directory(f"{OUT}/teacher"),
    log:
        f"{OUT}/logs/prepare.log",
    conda:
        ENVIRONMENT
    params:
        source=RUN.teacher,
        domain=RUN.domain,
    message:
        "Preparing the teacher {params.source}"
    shell:
        "fewstep prepare --domain {params.domain} --source {params.source:q}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule fetch:
    output:
        directory("data/{entry}"),
    log:
        "logs/fetch_{entry}.log",
    conda:
        ENVIRONMENT
    message:
        "Fetching {wildcards.entry}"
    shell:
        "fewstep fetch --entry {wildcards.entry:q} --output {output:q} 2>&1 | tee {log:q}"
