# Functions of the rules.
from shlex import quote

from domains.files.clock import date_ahead


def dated(paths):
    """Return the paths but for those with a date ahead.

    Snakemake would remove what is made of them, each time, as older than they are.
    """
    return [path for path in paths if not date_ahead(path)]


# The teacher as it was trained or prepared, before any calibration.
MADE_TEACHER = f"{OUT}/{'uncalibrated' if RUN.calibrates else 'teacher'}"
# What must be there before a field's data are read.
DATA = [f"{OUT}/streets"] if RUN.data.is_simulated else dated(RUN.data.files)
# The sample numbers of each shard, and the input files of samples: found out once, not for each.
try:
    PLANS = {name: RUN.plan(name) for name in RUN.sets}
    INPUTS = RUN.data.inputs()
    GIVEN = {name: given_files(one.files) for name, one in RUN.sets.items() if one.files}
except FewstepError as error:
    raise WorkflowError(str(error))
PARTS = {name: plan.parts for name, plan in PLANS.items()}


def model_in(directory):
    """Return the files of a model: another one counts, though it be written in place."""
    return [f"{directory}/model.safetensors", f"{directory}/model.json"]


def option(name, files):
    """Return the option that names the directory of a model, if there are files of one."""
    return f"--{name} {quote(str(Path(files[0]).parent))}" if files else ""


def model_of(wildcards):
    """Return the files of a set's model; sets of data, decoys and files have none."""
    model = RUN.sets[wildcards.set].model
    if model in UNMODELLED:
        return []
    if model == "teacher":
        return model_in(f"{OUT}/teacher")
    return model_in(f"{OUT}/{'models' if model in RUN.models else 'students'}/{model}")


def tuned(name):
    """Return whether a set's sampler is searched for."""
    return RUN.sets[name].sampler.kind == "tuned"


def plain(paths):
    """Return the paths that Snakemake does not take for patterns."""
    return dated(str(path) for path in paths if "{" not in str(path))


def sources(source):
    """Return the files that a model is read from: those in a directory, not the directory."""
    if not source or source in BUNDLED:
        return []
    inside = [path for path in map(Path, model_in(source)) if path.is_file()]
    return inside or sorted(Path(source).glob("*.ckpt")) or [source]


def files_of(source):
    """Return the source files of a model, so that others under their names count."""
    return plain(sources(source))


def source_of(model):
    """Return the source of a model that is prepared, by its directory's name."""
    if "/" in model:
        return RUN.models[model.removeprefix("models/")]
    return RUN.weaker if model == "weaker" else RUN.teacher


def version_of(source):
    """Return the checksum of a bundled model, so that new weights count, or a date ahead."""
    if source not in BUNDLED:
        ahead = [date for date in map(date_ahead, sources(source)) if date]
        return str(max(ahead, default=""))
    return json.loads((BUNDLED[source] / "model.json").read_text())["sha256"]


def made_at(source):
    """Return where the run makes a model that a student starts from, if it is one of its own."""
    for kind, names in (("students", RUN.students), ("models", RUN.models)):
        if source in names:
            return f"{OUT}/{kind}/{source}"
    return None


def start_of(source):
    """Return the files that a student starts from: those of the run's own, or a model's."""
    place = made_at(source)
    return model_in(place) if place else files_of(source)


def start_option(source):
    """Return the option that names what a student starts from."""
    return f"--start {quote(made_at(source) or source)}" if source else ""


def inputs_of(wildcards):
    """Return the input files of a shard's samples, so that others under their numbers count."""
    inputs = GIVEN.get(wildcards.set, INPUTS)
    return plain(inputs[k] for k in PARTS[wildcards.set][int(wildcards.shard)] if k < len(inputs))


def asked_of(wildcards):
    """Return all settings that decide what a shard's samples are asked to be."""
    plan = PLANS[wildcards.set]
    return [plan.request_key(k) for k in PARTS[wildcards.set][int(wildcards.shard)]]


def shards_of(wildcards):
    """Return the directories of a set's shards."""
    place = f"{OUT}/samples/{wildcards.set}"
    return [f"{place}/shard_{k:04d}" for k in range(len(PARTS[wildcards.set]))]


def sifted_of(wildcards):
    """Return the sifted tables of a set's shards."""
    place = f"{OUT}/screening/{wildcards.set}/sifted"
    return [f"{place}/shard_{k:04d}.csv" for k in range(len(PARTS[wildcards.set]))]


def screen_of(run):
    """Return all settings of the gates; which sets are screened decides nothing."""
    return run.screen.model_dump_json(exclude={"sets"}) if run.screen else ""


def weaker_of(wildcards):
    """Return the files of the weaker model if a set's or a student's autoguidance needs it."""
    if "set" in wildcards.keys():
        share = RUN.sets[wildcards.set].sampler.autoguidance
    else:
        share = RUN.students[wildcards.student].teacher_autoguidance
    return model_in(f"{OUT}/weaker") if share else []


def experts_of(wildcards):
    """Return the files of the models that are a student's experts of classes."""
    names = sorted({one.model for one in RUN.students[wildcards.student].experts})
    return [path for name in names for path in model_in(f"{OUT}/models/{name}")]


def curves_of(wildcards):
    """Return the log of the first student that a set was sampled from, if there is one."""
    used = [s.model for s in RUN.sets.values() if s.model in RUN.students]
    return f"--training-log {OUT}/state/{used[0]}/log.csv" if used else ""
