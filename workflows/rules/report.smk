# One HTML file and one tidy table.


rule report:
    input:
        evaluations=expand(f"{OUT}/evaluation/{{set}}", set=RUN.sets),
        screened=expand(f"{OUT}/screened/{{set}}", set=RUN.screened),
    output:
        html=report(f"{OUT}/report.html", category=RUN.name, labels={"file": "report"}),
        table=report(f"{OUT}/results.csv", category=RUN.name, labels={"file": "results"}),
        latex=f"{OUT}/results.tex",
    log:
        f"{OUT}/logs/report.log",
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    params:
        config=SETTINGS,
        title=lambda w: RUN.title,
        notes=lambda w: RUN.notes,
        bounds=lambda w: dict(RUN.equal_within),
        evaluations=lambda w, input: Path(input.evaluations[0]).parent,
        curves=curves_of,
        screened=f"--screened {OUT}/screened" if RUN.screened else "",
        teacher=f"{OUT}/teacher",
    message:
        "Writing {output.html}"
    shell:
        "fewstep report --config {params.config:q} --evaluations {params.evaluations:q}"
        " --output {output.html:q} --table {output.table:q} {params.curves} {params.screened}"
        " --teacher {params.teacher:q} 2>&1 | tee {log:q}"
