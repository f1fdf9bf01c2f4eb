# Put the runs of a matrix beside each other.


if MATRIX:

    rule compare:
        input:
            evaluations=[
                f"results/{run.name}/evaluation/{name}" for run in RUNS for name in run.sets
            ],
        output:
            html=report(
                f"results/{MATRIX.name}/matrix.html",
                category=MATRIX.name,
                labels={"file": "comparison"},
            ),
            table=report(
                f"results/{MATRIX.name}/matrix.csv",
                category=MATRIX.name,
                labels={"file": "results"},
            ),
        log:
            f"results/{MATRIX.name}/compare.log",
        conda:
            ENVIRONMENT
        container:
            CONTAINER
        params:
            config=f"results/{MATRIX.name}/matrix.json",
            settings=lambda w: MATRIX.model_dump_json(),
        message:
            "Writing {output.html}"
        shell:
            "fewstep compare --config {params.config:q} --results results"
            " --output {output.html:q} --table {output.table:q} 2>&1 | tee {log:q}"
