# Train students. State lives in an undeclared directory, because Snakemake deletes the
# declared outputs of a failed job; the model is written last.


rule distill:
    input:
        teacher=model_in(f"{OUT}/teacher"),
        tools=lambda w: (
            ["data/proteinmpnn"] if RUN.students[w.student].objective.needs_tools else []
        ),
        weaker=weaker_of,
        experts=experts_of,
        start=lambda w: start_of(RUN.students[w.student].start),
        data=DATA,
    output:
        model_in(f"{OUT}/students/{{student}}"),
    log:
        f"{OUT}/logs/distill_{{student}}.log",
    benchmark:
        f"{OUT}/benchmarks/distill_{{student}}.jsonl"
    # The longest job of a run: what else there is fits beside it or after it.
    priority: 10
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    threads: 2
    resources:
        gpu=1,
        mem_mb=lambda w, attempt: 16000 * attempt,
        runtime=lambda w, attempt: 240 * attempt,
    params:
        config=SETTINGS,
        data=lambda w: RUN.data.model_dump_json(),
        settings=lambda w: deciding(RUN.students[w.student]),
        start=lambda w, input: start_option(RUN.students[w.student].start),
        version=lambda w: version_of(RUN.students[w.student].start),
        seed=RUN.seed,
        state=f"{OUT}/state/{{student}}",
        tools=lambda w, input: f"--tools {input.tools}" if input.tools else "",
        teacher=lambda w, input: option("teacher", input.teacher),
        weaker=lambda w, input: option("weaker", input.weaker),
        models=lambda w, input: f"--models {quote(f'{OUT}/models')}" if input.experts else "",
        output=lambda w, output: Path(output[0]).parent,
    message:
        "Distilling {wildcards.student}"
    shell:
        "fewstep distill --config {params.config:q} --student {wildcards.student:q}"
        " {params.teacher} {params.weaker} {params.models} {params.tools} {params.start}"
        " --state {params.state:q} --output {params.output:q}"
        " 2>&1 | tee {log:q}"
