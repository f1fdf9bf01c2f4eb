# Keep the few that pass gates: each shard by itself, then all of them in their order. What is
# measured so far lies in an undeclared directory: a job that was cut goes on where it was.


rule sift:
    input:
        shard=f"{OUT}/samples/{{set}}/shard_{{shard}}",
        tools=["data/proteinmpnn"] if RUN.screen and RUN.screen.needs_tools else [],
        data=DATA,
    output:
        f"{OUT}/screening/{{set}}/sifted/shard_{{shard}}.csv",
    log:
        f"{OUT}/logs/sift_{{set}}_{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/sift_{{set}}_{{shard}}.jsonl"
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
        settings=lambda w: (screen_of(RUN), RUN.evaluate.model_dump_json() if HEAVY else ""),
        seed=RUN.seed,
        state=f"{OUT}/screening/{{set}}/state/shard_{{shard}}",
        tools=lambda w, input: f"--tools {input.tools}" if input.tools else "",
    message:
        "Sifting {wildcards.set}, shard {wildcards.shard}"
    shell:
        "fewstep sift --config {params.config:q} --set-name {wildcards.set:q}"
        " --shard $((10#{wildcards.shard})) --samples {input.shard:q} {params.tools}"
        " --state {params.state:q} --output {output:q} 2>&1 | tee {log:q}"


rule screen:
    input:
        shards=shards_of,
        sifted=sifted_of,
    output:
        directory(f"{OUT}/screened/{{set}}"),
    log:
        f"{OUT}/logs/screen_{{set}}.log",
    benchmark:
        f"{OUT}/benchmarks/screen_{{set}}.jsonl"
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    threads: 1
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 240 * attempt,
    params:
        config=SETTINGS,
        settings=lambda w: screen_of(RUN),
        label=lambda w: RUN.sets[w.set].label,
        samples=lambda w, input: Path(input.shards[0]).parent,
        sifted=lambda w, input: Path(input.sifted[0]).parent,
        state=f"{OUT}/screening/{{set}}/state",
    message:
        "Screening {wildcards.set}"
    shell:
        "fewstep screen --config {params.config:q} --set-name {wildcards.set:q}"
        " --samples {params.samples:q} --sifted {params.sifted:q} --state {params.state:q}"
        " --output {output:q} 2>&1 | tee {log:q}"
