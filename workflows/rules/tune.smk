# Search the times and the noise of a set's few calls: no training.


rule tune:
    input:
        model=model_of,
        tools=lambda w: (["data/proteinmpnn"] if RUN.sets[w.set].sampler.needs_tools else []),
        data=DATA,
        request_files=dated(RUN.generate.files),
    output:
        f"{OUT}/tuned/{{set}}.json",
    log:
        f"{OUT}/logs/tune_{{set}}.log",
    benchmark:
        f"{OUT}/benchmarks/tune_{{set}}.jsonl"
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=lambda w, attempt: 120 * attempt,
    params:
        config=SETTINGS,
        data=lambda w: RUN.data.model_dump_json(),
        settings=lambda w: RUN.sets[w.set].model_dump_json(exclude={"label"}),
        samples=lambda w: [
            RUN.generate.request_key(k) for k in range(RUN.sets[w.set].sampler.samples)
        ],
        seed=RUN.seed,
        model=lambda w, input: option("model", input.model),
        tools=lambda w, input: f"--tools {input.tools}" if input.tools else "",
    message:
        "Tuning the sampler of {wildcards.set}"
    shell:
        "fewstep tune --config {params.config:q} --set-name {wildcards.set:q}"
        " {params.model} {params.tools} --output {output:q} 2>&1 | tee {log:q}"
