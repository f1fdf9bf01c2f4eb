# Files of data_manifest.yaml, shared by all runs; anything else in data/ is the user's own.
import re

from domains.manifest.table import load_manifest

ENTRIES = {e.id: e for e in load_manifest(f"{HOME}/data_manifest.yaml").entries}


rule fetch:
    output:
        directory("data/{entry}"),
    log:
        "logs/fetch_{entry}.log",
    wildcard_constraints:
        entry="|".join(map(re.escape, ENTRIES)),
    # On a cluster only the login node reaches the internet.
    localrule: True
    conda:
        ENVIRONMENT
    container:
        CONTAINER
    params:
        sha256=lambda w: ENTRIES[w.entry].sha256,
    message:
        "Fetching {wildcards.entry}"
    shell:
        "fewstep fetch --entry {wildcards.entry:q} --output {output:q} 2>&1 | tee {log:q}"
