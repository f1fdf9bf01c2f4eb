# Sample sets in shards; models, held-out data and given files by the same command.


rule generate:
    input:
        model=model_of,
        weaker=weaker_of,
        sampler=lambda w: f"{OUT}/tuned/{w.set}.json" if tuned(w.set) else [],
        data=DATA,
        inputs=inputs_of,
        request_files=dated(RUN.generate.files),
    output:
        directory(f"{OUT}/samples/{{set}}/shard_{{shard}}"),
    log:
        f"{OUT}/logs/generate_{{set}}_{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/generate_{{set}}_{{shard}}.jsonl"
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        config=SETTINGS,
        data=lambda w: RUN.data.model_dump_json(),
        settings=lambda w: RUN.sets[w.set].model_dump_json(exclude={"label"}),
        samples=asked_of,
        seed=RUN.seed,
        formats=RUN.generate.formats,
        precision=RUN.generate.precision,
        model=lambda w, input: option("model", input.model),
        weaker=lambda w, input: option("weaker", input.weaker),
        sampler=lambda w, input: f"--sampler {input.sampler}" if input.sampler else "",
    message:
        "Sampling {wildcards.set}, shard {wildcards.shard}"
    shell:
        "fewstep generate --config {params.config:q} --set-name {wildcards.set:q}"
        " --shard $((10#{wildcards.shard})) {params.model} {params.weaker} {params.sampler}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule merge:
    input:
        shards=shards_of,
        model=model_of,
    output:
        index=f"{OUT}/samples/{{set}}/index.csv",
        skipped=f"{OUT}/samples/{{set}}/skipped.csv",
    log:
        f"{OUT}/logs/merge_{{set}}.log",
    localrule: True
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    params:
        config=SETTINGS,
        samples=lambda w, output: Path(output.index).parent,
        model=lambda w, input: option("model", input.model),
    message:
        "Merging the tables of {wildcards.set}"
    shell:
        "fewstep merge --config {params.config:q} --set-name {wildcards.set:q}"
        " --samples {params.samples:q} {params.model}"
        " --output {output.index:q} --skipped {output.skipped:q} 2>&1 | tee {log:q}"
