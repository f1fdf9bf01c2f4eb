# Files of data_manifest.yaml, shared by all runs.


rule fetch:
    output:
        directory("data/{entry}"),
    log:
        "logs/fetch_{entry}.log",
    wildcard_constraints:
        entry=r"[A-Za-z0-9_.-]+",
    # On a cluster only the login node reaches the internet.
    localrule: True
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    message:
        "Fetching {wildcards.entry}"
    shell:
        "fewstep fetch --entry {wildcards.entry:q} --output {output:q} 2>&1 | tee {log:q}"
