# Measure each set.

# Such as folding networks, which have gigabytes of weights.
HEAVY = RUN.evaluate.needs_gpu


rule evaluate:
    input:
        shards=shards_of,
        index=rules.merge.output.index,
        tools=["data/proteinmpnn"] if RUN.needs_tools else [],
        data=DATA,
        judges=dated(RUN.evaluate.files),
    output:
        directory(f"{OUT}/evaluation/{{set}}"),
    log:
        f"{OUT}/logs/evaluate_{{set}}.log",
    benchmark:
        f"{OUT}/benchmarks/evaluate_{{set}}.jsonl"
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    threads: 1
    resources:
        gpu=int(HEAVY),
        mem_mb=lambda w, attempt: (24000 if HEAVY else 4000) * attempt,
        runtime=lambda w, attempt: 120 * attempt,
    params:
        config=SETTINGS,
        data=lambda w: RUN.data.model_dump_json(),
        settings=lambda w: RUN.evaluate.model_dump_json(),
        label=lambda w: RUN.sets[w.set].label,
        samples=lambda w, input: Path(input.index).parent,
        tools=lambda w, input: f"--tools {input.tools}" if input.tools else "",
    message:
        "Measuring {wildcards.set}"
    shell:
        "fewstep evaluate --config {params.config:q} --set-name {wildcards.set:q}"
        " --samples {params.samples:q} {params.tools} --output {output:q}"
        " 2>&1 | tee {log:q}"
