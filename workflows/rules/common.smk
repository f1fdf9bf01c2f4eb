# Functions of the rules.

# What must be there before a domain's data are read.
DATA = [f"{OUT}/streets"] if RUN.data.simulate else []


def model_of(wildcards):
    """Return the directory of a set's model; the set of data has none."""
    model = RUN.sets[wildcards.set].model
    if model in UNMODELLED:
        return []
    return f"{OUT}/teacher" if model == "teacher" else f"{OUT}/students/{model}"


def teacher_source(wildcards):
    """Return the teacher's file, so that another one under its name counts.

    There is none for a bundled teacher, nor where Snakemake would take its name for a pattern.
    """
    known = RUN.teacher in BUNDLED or "{" in RUN.teacher
    return [] if known else RUN.teacher


def curves_of(wildcards):
    """Return the log of the first student that a set was sampled from, if there is one."""
    used = [s.model for s in RUN.sets.values() if s.model in RUN.students]
    return f"--training-log {OUT}/state/{used[0]}/log.csv" if used else ""
