# Functions of the rules.

# What must be there before a domain's data are read.
DATA = [f"{OUT}/streets"] if RUN.data.simulate else []


def model_of(wildcards):
    """Return the directory of a set's model; the set of data has none."""
    model = RUN.sets[wildcards.set].model
    if model in UNMODELLED:
        return []
    return f"{OUT}/teacher" if model == "teacher" else f"{OUT}/students/{model}"


def tuned(name):
    """Return whether a set's sampler is searched for."""
    return RUN.sets[name].sampler.kind == "tuned"


def source_of(wildcards):
    """Return the file of the teacher or the weaker model, so that another under its name counts.

    There is none for a bundled model, nor where Snakemake would take its name for a pattern.
    """
    source = getattr(RUN, wildcards.model)
    return [] if source in BUNDLED or "{" in source else source


def weaker_of(wildcards):
    """Return the directory of the weaker model if a set's or a student's autoguidance needs it."""
    if "set" in wildcards.keys():
        share = RUN.sets[wildcards.set].sampler.autoguidance
    else:
        share = RUN.students[wildcards.student].teacher_autoguidance
    return f"{OUT}/weaker" if share else []


def curves_of(wildcards):
    """Return the log of the first student that a set was sampled from, if there is one."""
    used = [s.model for s in RUN.sets.values() if s.model in RUN.students]
    return f"--training-log {OUT}/state/{used[0]}/log.csv" if used else ""
