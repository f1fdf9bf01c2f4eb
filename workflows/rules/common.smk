# Functions of the rules.

# Built from envs/container.def, for --sdm apptainer.
CONTAINER = f"{workflow.basedir}/envs/{RUN.domain}.sif"

# What must be there before a domain's data are read.
DATA = [f"{OUT}/streets"] if RUN.data.simulate else []


def model_of(wildcards):
    """Return the directory of a set's model; the set of data has none."""
    model = RUN.sets[wildcards.set].model
    if model in UNMODELLED:
        return []
    return f"{OUT}/teacher" if model == "teacher" else f"{OUT}/students/{model}"


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


def check_programs():
    """Stop before the first job if a program that the evaluation calls can't be used.

    Environments and containers have programs of their own, which are seen from inside only.
    """
    if RUN.domain != "protein" or workflow.deployment_settings.deployment_method:
        return
    from domains.protein.metrics.foldseek import chosen

    try:
        chosen(RUN.evaluate)
    except FewstepError as error:
        raise WorkflowError(str(error))


def curves_of(wildcards):
    """Return the log of the first student that a set was sampled from, if there is one."""
    used = [s.model for s in RUN.sets.values() if s.model in RUN.students]
    return f"--training-log {OUT}/state/{used[0]}/log.csv" if used else ""
