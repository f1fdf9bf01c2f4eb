# One HTML file and one tidy table.


rule report:
    input:
        settings=ancient(SETTINGS),
        evaluations=expand(f"{OUT}/evaluation/{{set}}", set=RUN.sets),
    output:
        html=f"{OUT}/report.html",
        table=f"{OUT}/results.csv",
    log:
        f"{OUT}/logs/report.log",
    conda:
        ENVIRONMENT
    params:
        title=RUN.title,
        notes=RUN.notes,
        evaluations=lambda w, input: Path(input.evaluations[0]).parent,
        curves="".join(f" --training-log {OUT}/state/{s}/log.csv" for s in list(RUN.students)[:1]),
    message:
        "Writing {output.html}"
    shell:
        "fewstep report --config {input.settings:q} --evaluations {params.evaluations:q}"
        " --output {output.html:q} --table {output.table:q}{params.curves} 2>&1 | tee {log:q}"
