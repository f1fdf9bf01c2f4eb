# Measure each set.


rule evaluate:
    input:
        settings=ancient(SETTINGS),
        shards=expand(
            f"{OUT}/samples/{{{{set}}}}/shard_{{shard:04d}}", shard=range(RUN.generate.shards)
        ),
        tools="data/proteinmpnn",
    output:
        directory(f"{OUT}/evaluation/{{set}}"),
    log:
        f"{OUT}/logs/evaluate_{{set}}.log",
    benchmark:
        f"{OUT}/benchmarks/evaluate_{{set}}.jsonl"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 120 * attempt,
    params:
        settings=RUN.evaluate.model_dump_json(),
        label=lambda w: RUN.sets[w.set].label,
        samples=lambda w, input: Path(input.shards[0]).parent,
    message:
        "Measuring {wildcards.set}"
    shell:
        "fewstep evaluate --config {input.settings:q} --set-name {wildcards.set:q}"
        " --samples {params.samples:q} --tools {input.tools:q} --output {output:q}"
        " 2>&1 | tee {log:q}"
