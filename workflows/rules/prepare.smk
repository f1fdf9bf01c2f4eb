# The teacher in canonical form, and tools of the evaluation.
#
# In all rules: the settings are no input, because their file says more than a job depends on.
# That is in the job's params, so that editing one student's settings retrains that student
# only. Text of the user is a function: in a string Snakemake would look for wildcards.


if RUN.teacher == PRETRAIN:

    rule pretrain:
        input:
            data=DATA,
            start=files_of(RUN.pretrain.start),
        output:
            model_in(MADE_TEACHER),
        log:
            f"{OUT}/logs/pretrain.log",
        benchmark:
            f"{OUT}/benchmarks/pretrain.jsonl"
        conda:
            ENVIRONMENT
        container:
            CONTAINER
        threads: 1
        resources:
            gpu=1,
            mem_mb=lambda w, attempt: 16000 * attempt,
            runtime=lambda w, attempt: 480 * attempt,
        params:
            config=SETTINGS,
            data=lambda w: RUN.data.model_dump_json(),
            settings=lambda w: deciding(RUN.pretrain),
            start=lambda w: version_of(RUN.pretrain.start),
            seed=RUN.seed,
            state=f"{OUT}/state/teacher",
            output=MADE_TEACHER,
        message:
            "Training the teacher"
        shell:
            "fewstep pretrain --config {params.config:q} --state {params.state:q}"
            " --output {params.output:q} 2>&1 | tee {log:q}"


rule prepare:
    input:
        lambda w: files_of(source_of(w.model)),
    output:
        model_in(f"{OUT}/{{model}}"),
    log:
        f"{OUT}/logs/prepare_{{model}}.log",
    wildcard_constraints:
        model="|".join(
            [
                *([Path(MADE_TEACHER).name] if RUN.teacher != PRETRAIN else []),
                "weaker",
                *(f"models/{re.escape(name)}" for name in RUN.models),
            ]
        ),
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    params:
        source=lambda w: source_of(w.model),
        version=lambda w: version_of(source_of(w.model)),
        domain=RUN.domain,
        output=lambda w, output: Path(output[0]).parent,
    message:
        "Preparing the {wildcards.model}"
    shell:
        "fewstep prepare --domain {params.domain} --source {params.source:q}"
        " --output {params.output:q} 2>&1 | tee {log:q}"


if RUN.calibrates:

    rule calibrate:
        input:
            model=model_in(MADE_TEACHER),
            data=DATA,
        output:
            model_in(f"{OUT}/teacher"),
        log:
            f"{OUT}/logs/calibrate.log",
        conda:
            ENVIRONMENT
        container:
            CONTAINER
        params:
            config=SETTINGS,
            settings=lambda w: RUN.calibration.model_dump_json(),
            data=lambda w: RUN.data.model_dump_json(),
            seed=RUN.seed,
            source=MADE_TEACHER,
            output=f"{OUT}/teacher",
        message:
            "Calibrating the teacher"
        shell:
            "fewstep calibrate --config {params.config:q} --source {params.source:q}"
            " --output {params.output:q} 2>&1 | tee {log:q}"


rule simulate:
    output:
        directory(f"{OUT}/streets"),
    log:
        f"{OUT}/logs/simulate.log",
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    params:
        config=SETTINGS,
        data=lambda w: RUN.data.model_dump_json(),
    message:
        "Simulating streets"
    shell:
        "fewstep simulate --config {params.config:q} --output {output:q} 2>&1 | tee {log:q}"
