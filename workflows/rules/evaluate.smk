# Describe once what all sets are compared with, and measure each set.

# Such as folding networks, which have gigabytes of weights.
HEAVY = RUN.evaluate.needs_gpu


rule describe:
    input:
        data=DATA,
    output:
        f"{OUT}/references.json",
    log:
        f"{OUT}/logs/describe.log",
    benchmark:
        f"{OUT}/benchmarks/describe.jsonl"
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    threads: 1
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        config=SETTINGS,
        data=lambda w: RUN.data.model_dump_json(),
        sizes=RUN.reference_sizes,
    message:
        "Describing what sets are compared with"
    shell:
        "fewstep describe --config {params.config:q} --output {output:q} 2>&1 | tee {log:q}"


rule evaluate:
    input:
        shards=shards_of,
        index=rules.merge.output.index,
        tools=["data/proteinmpnn"] if RUN.needs_tools else [],
        data=DATA,
        judges=dated(RUN.evaluate.files),
        described=rules.describe.output if RUN.reference_sizes else [],
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
        described=lambda w, input: f"--described {input.described}" if input.described else "",
    message:
        "Measuring {wildcards.set}"
    shell:
        "fewstep evaluate --config {params.config:q} --set-name {wildcards.set:q}"
        " --samples {params.samples:q} {params.tools} {params.described} --output {output:q}"
        " 2>&1 | tee {log:q}"
