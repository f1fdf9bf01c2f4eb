# Functions of the rules.


def model_of(wildcards):
    """Return the directory of a set's model; the set of data has none."""
    model = RUN.sets[wildcards.set].model
    if model == "data":
        return []
    return f"{OUT}/teacher" if model == "teacher" else f"{OUT}/students/{model}"
