"""Contract: wrong settings are one line and exit code 2, through the real command line."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from refusals import Place
from tiny_run import content, write_config

TEXTS = {
    "empty": ("", "mapping|dictionary|valid"),
    "a list": ("- name: tiny\n", "valid"),
    "only text": ("name", "valid"),
    "no YAML": ("a: [1, 2", "no valid YAML"),
    "a tab": ("a:\n\tb: 1", "no valid YAML"),
    "two documents": ("a: 1\n---\na: 2\n", "no valid YAML"),
    "an object": ("a: !!python/object/apply:os.system ['touch hacked']", "no valid YAML"),
    "a wrong date": ("a: 2024-13-45", "no valid YAML"),
    "too deep": ("[" * 5000, "no valid YAML"),
    "key twice": ("name: a\nname: b\n", "'name' is given twice"),
    "inner key twice": ("generate: {per_length: 1, per_length: 2}\n", "twice"),
    "control characters": ("a: \x01", "no valid YAML"),
    "a NUL": ('teacher: "a\\0b"', "no file can hold"),
    "half a character": ('title: "\\ud800"', "no file can hold"),
    "a program by a name": ("a: !!python/name:os.system", "no valid YAML"),
    "a new object": ("a: !!python/object/new:os.system ['touch hacked']", "no valid YAML"),
    "a module": ("a: !!python/module:antigravity", "no valid YAML"),
    "a tag of one's own": ("a: !run touch hacked", "no valid YAML"),
    "a truth that is none": ("a: !!bool perhaps", "no valid YAML"),
    "an integer that is none": ('a: !!int ""', "no valid YAML"),
    "a number that is none": ("a: !!float far", "no valid YAML"),
    "a time that is none": ("a: !!timestamp never", "no valid YAML"),
    "bytes": ("a: !!binary AAAA", "no valid YAML"),
    "a set": ("a: !!set {b, c}", "no valid YAML"),
    "an unknown alias": ("a: *b", "no valid YAML"),
    "a name for two anchors": ("a: &x 1\nb: &x 2", "no valid YAML"),
    "a list as a key": ("? [a, b]\n: 1", "no valid YAML"),
    "a merge of text": ("<<: text", "no valid YAML"),
    "another version": ("%YAML 9.9\n---\na: 1", "no valid YAML"),
    "aliases that multiply": (
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghijk")),
        "aliases written out",
    ),
    "merges that multiply": (
        "a: &a {x: 1}\n"
        + "".join(
            f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n" for a, b in pairwise("abcdefghijk")
        ),
        "aliases written out",
    ),
    "a list in itself": ("a: &a [*a]", "aliases written out"),
    "a mapping in itself": ("a: &a {<<: *a}", "aliases written out"),
    "a hexadecimal number of 5,000 digits": ("name: 0x" + "f" * 5000, "a huge int"),
    "a decimal number of 5,000 digits": ("name: " + "9" * 5000, "no valid YAML"),
    "3,000 keys, all wrong": ("".join(f"k{n}: 1\n" for n in range(3000)), "Field required"),
    "numbers as keys": ("1: 2\n", "Field required"),
    "an unknown key of 900 letters": ("a" * 900 + ": 1\n", "Field required"),
}


@pytest.mark.parametrize(("text", "words"), TEXTS.values(), ids=TEXTS)
def test_text_of_the_config(place: Place, text: str, words: str) -> None:
    (place / "run.yaml").write_text(text)
    line = place.generate(place / "run.yaml")
    assert len(line) < 1000
    assert any(word in line for word in words.split("|"))
    assert "run.yaml" in line and not Path("hacked").exists()


BACKWARDS = {"kind": "beta", "low": 0.9, "high": 0.1}
SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"nmae": "x"}, "nmae"),
    "unknown inner key": ({"generate": {"per_lenght": 3}}, "generate.per_lenght"),
    "unknown domain": ({"domain": "weather"}, "domain"),
    "name with a slash": ({"name": "../../etc"}, "name"),
    "name with a space": ({"name": "a b"}, "name"),
    "name with a newline": ({"name": "a\n"}, "name"),
    "name of a command": ({"name": "$(touch x)"}, "name"),
    "empty name": ({"name": ""}, "name"),
    "very long name": ({"name": "a" * 300}, "name"),
    "negative seed": ({"seed": -1}, "seed"),
    "seed with a fraction": ({"seed": 0.5}, "seed"),
    "seed is text": ({"seed": "zero"}, "seed"),
    "seed is yes": ({"seed": True}, "seed"),
    "no teacher": ({"teacher": ""}, "teacher"),
    "pretrain without a section": ({"teacher": "pretrain"}, "pretrain"),
    "length 0": ({"generate": {"lengths": [50, 0]}}, "generate.lengths.1"),
    "length 4": ({"generate": {"lengths": [4]}}, "greater than or equal to 5"),
    "a contig that is none": (
        {"generate": {"scaffold": {"structure": "a.pdb", "contig": "9/A"}}},
        "bad contig part: expected such as 12, 10-20",
    ),
    "no lengths": ({"generate": {"lengths": []}}, "generate.lengths"),
    "length is text": ({"generate": {"lengths": ["long"]}}, "generate.lengths.0"),
    "no samples": ({"generate": {"per_length": 0}}, "generate.per_length"),
    "shard size 0": ({"generate": {"shard_size": 0}}, "generate.shard_size"),
    "unknown model in a set": ({"sets": {"x": {"model": "nobody"}}}, "nobody"),
    "set with a slash": ({"sets": {"a/b": {"model": "data"}}}, "sets"),
    "unknown sampler": ({"sets": {"x": {"model": "data", "sampler": {"kind": "magic"}}}}, "magic"),
    "negative steps": ({"sets": {"naive": {"sampler": {"steps": -1}}}}, "steps"),
    "no steps": ({"sets": {"naive": {"sampler": {"steps": 0}}}}, "steps"),
    "infinite noise": ({"sets": {"naive": {"sampler": {"noise_scale": float("inf")}}}}, "finite"),
    "noise is NaN": ({"sets": {"naive": {"sampler": {"noise_scale": float("nan")}}}}, "noise"),
    "student called teacher": ({"students": {"teacher": {"fit": {"steps": 1}}}}, "taken"),
    "low over high": ({"students": {"student": {"lengths": {"low": 80, "high": 40}}}}, "exceed"),
    "training for no step": ({"students": {"student": {"fit": {"steps": 0}}}}, "fit.steps"),
    "rate 0": ({"students": {"student": {"student": {"rate": 0}}}}, "student.rate"),
    "unknown objective": ({"students": {"student": {"objective": {"kind": "gan"}}}}, "gan"),
    "times the wrong way": (
        {"students": {"student": {"objective": {"kind": "sid", "fake_times": BACKWARDS}}}},
        "below",
    ),
    "a trajectory with fresh noise": (
        {"students": {"student": {"objective": {"kind": "tdm"}}}},
        "roll_out.eta: must be 0",
    ),
    "times of other steps": (
        {"students": {"student": {"roll_out": {"steps": 2, "times": [0.3]}}}},
        "2 rising numbers",
    ),
    "times that fall": (
        {"students": {"student": {"roll_out": {"steps": 2, "times": [0.7, 0.3]}}}},
        "2 rising numbers",
    ),
    "fresh noise in a trajectory": (
        {"students": {"student": {"roll_out": {"deterministic": True, "eta": 0.5}}}},
        "eta",
    ),
    "more phases than steps": (
        {"students": {"student": {"objective": {"kind": "phased_dmd", "phases": 3}}}},
        "objective.phases",
    ),
    "a path of two fake scores": (
        {"students": {"student": {"degradation": {}, "objective": {"kind": "distillation_dpo"}}}},
        "one fake score",
    ),
    "a path that is cut": (
        {"students": {"student": {"degradation": {}, "reset_fake_every": 9}}},
        "reset_fake_every",
    ),
    "a path that ends before the teacher": (
        {"students": {"student": {"degradation": {}, "fit": {"steps": 350}}}},
        "fit.steps",
    ),
    "average of 1": ({"students": {"student": {"fit": {"ema": 1.0}}}}, "fit.ema"),
    "students are a list": ({"students": ["a"]}, "students"),
    "title is a list": ({"title": ["a"]}, "title"),
    "seed beyond a table's": ({"seed": 2**63}, "seed"),
    "seed of thirty digits": ({"seed": 10**30}, "seed"),
    "seed is infinite": ({"seed": float("inf")}, "seed"),
    "length is yes": ({"generate": {"lengths": [True]}}, "generate.lengths.0"),
    "length is a billion": ({"generate": {"lengths": [10**9]}}, "generate.lengths.0"),
    "samples without end": ({"generate": {"per_length": 10**30}}, "generate.per_length"),
    "a million shards": ({"generate": {"per_length": 10**6, "shard_size": 2}}, "more than 100000"),
    "batches without end": ({"students": {"student": {"batch_size": 10**30}}}, "batch_size"),
    "lengths without end": ({"students": {"student": {"lengths": {"high": 10**30}}}}, "high"),
    "training without end": ({"students": {"student": {"fit": {"steps": 10**30}}}}, "fit.steps"),
    "training for yes seconds": (
        {"students": {"student": {"fit": {"max_seconds": True}}}},
        "max_seconds should be a number",
    ),
    "seed of a student is yes": ({"students": {"student": {"seed": True}}}, "seed should be"),
    "rate is infinite": ({"students": {"student": {"student": {"rate": float("inf")}}}}, "rate"),
    "guidance is NaN": ({"sets": {"naive": {"sampler": {"guidance": float("nan")}}}}, "guidance"),
    "a class forgotten that is told to none": (
        {"students": {"student": {"objective": {"kind": "sfd", "forget": "1"}}}},
        "fold: must be C or A or T",
    ),
    "a class forgotten that is finer than those told": (
        {"students": {"student": {"objective": {"kind": "sfd", "forget": "1.10"}, "fold": "C"}}},
        "fold: must be A or T",
    ),
    "a class forgotten for itself": (
        {
            "students": {
                "student": {
                    "objective": {"kind": "sfd", "forget": "1", "instead": "1.10"},
                    "fold": "A",
                }
            }
        },
        "instead 1.10 is of the class to forget, 1",
    ),
    "tangents in half precision": (
        {
            "students": {
                "student": {"objective": {"kind": "rcm"}, "fit": {"precision": "bf16-mixed"}}
            }
        },
        "fit.precision: must be 32-true",
    ),
    "a student that starts from itself": (
        {"students": {"student": {"start": "b"}, "b": {"start": "student", "fit": {"steps": 1}}}},
        "would start from itself",
    ),
    "a model of a student's name": ({"models": {"student": "x"}}, "models.student: this name"),
    "more draws than weights": (
        {
            "students": {
                "student": {
                    "roll_out": {"steps": 4, "eta": 0},
                    "objective": {
                        "kind": "flow_map",
                        "drawn_steps": 3,
                        "step_weights": [4, 1, 1, 1],
                    },
                }
            }
        },
        "drawn_steps: at most 1",
    ),
    "autoguidance without a weaker model": (
        {"sets": {"naive": {"sampler": {"guidance": 2.0, "autoguidance": 0.5}}}},
        "no weaker model",
    ),
    "autoguidance without guidance": (
        {"weaker": "x", "students": {"student": {"teacher_autoguidance": 1.0}}},
        "of no use with guidance 1",
    ),
    "shares that are not all": ({"students": {"student": {"fold": [0.5, 0, 0, 0]}}}, "fold"),
    "sampler without a kind": ({"sets": {"naive": {"sampler": {"kind": None}}}}, "kind"),
    "sampler is a list": ({"sets": {"naive": {"sampler": []}}}, "sampler"),
    "LiDAR's files of proteins": ({"generate": {"formats": ["pcd"]}}, "generate.formats"),
    "LiDAR's sampler of proteins": ({"sets": {"naive": {"sampler": {"kind": "dpm"}}}}, "dpm"),
    "LiDAR's thinning of proteins": ({"sets": {"naive": {"points": 300}}}, "points"),
    "LiDAR's scenes of proteins": ({"generate": {"scenes": 3}}, "generate.scenes"),
    "simulated data with a path": ({"data": {"simulate": {}, "path": "x"}}, "data"),
    "an architecture in a list": (
        {"teacher": "pretrain", "pretrain": {"network": [1], "fit": {"steps": 1}}},
        "pretrain.network",
    ),
    "a set called ..": ({"sets": {"..": {"model": "data"}}}, "sets"),
    "a student with a newline": ({"students": {"a\n": {"fit": {"steps": 1}}}}, "students"),
    "a folding model that is yes": ({"evaluate": {"folding_model": True}}, "folding_model"),
}


@pytest.mark.parametrize(("changes", "words"), SETTINGS.values(), ids=SETTINGS)
def test_settings(place: Place, changes: dict[str, Any], words: str) -> None:
    line = place.generate(write_config(place / "run.yaml", **changes))
    assert words in line and "run.yaml" in line


OF_LIDAR: dict[str, tuple[dict[str, Any], str]] = {
    "without data": ({"data": {}}, "data: the lidar field needs path, scans or simulate"),
    "no sequence to train on": ({"data": {"train": []}}, "data.train"),
    "a sequence in both": ({"data": {"train": ["08"]}}, "both in train and in held_out"),
    "a sequence outside": ({"data": {"train": ["../08"]}}, "data.train.0"),
    "without scenes": ({"generate": {}}, "generate.scenes"),
    "lengths": ({"generate": {"scenes": 1, "lengths": [40]}}, "generate.lengths"),
    "a sampler of proteins": (
        {"sets": {"s": {"model": "teacher", "sampler": {"kind": "ode"}}}},
        "ode",
    ),
    "fold classes": ({"students": {"s": {"fold": "C", "fit": {"steps": 1}}}}, "students.s.fold"),
    "a class to forget": (
        {"students": {"s": {"objective": {"kind": "sfd", "forget": "1"}, "fit": {"steps": 1}}}},
        "no classes to forget",
    ),
    "self-conditioning": (
        {"students": {"s": {"roll_out": {"self_conditioning": True}, "fit": {"steps": 1}}}},
        "self_conditioning",
    ),
    "a fake score that never learns to do without its scan": (
        {"students": {"s": {"fake_guidance": -1.0, "fit": {"steps": 1}}}},
        "students.s.fake_guidance: every sample is told its scan",
    ),
}


@pytest.mark.parametrize(("changes", "words"), OF_LIDAR.values(), ids=OF_LIDAR)
def test_settings_of_lidar(place: Place, changes: dict[str, Any], words: str) -> None:
    facts = {"name": "tiny", "domain": "lidar", "teacher": "lidiff-mini", "sets": {}}
    settings = {**facts, "data": {"path": "x"}, "generate": {"scenes": 2}, **changes}
    (place / "run.yaml").write_text(yaml.safe_dump(settings))
    line = place.generate(place / "run.yaml")
    assert words in line and "run.yaml" in line


@pytest.mark.parametrize("key", ["name", "domain", "teacher", "generate", "sets"])
def test_settings_that_lack(place: Place, key: str) -> None:
    (place / "run.yaml").write_text(
        yaml.safe_dump({k: v for k, v in content().items() if k != key})
    )
    assert f"run.yaml, {key}: Field required" in place.generate(place / "run.yaml")


def test_settings_that_are_no_text(place: Place) -> None:
    (place / "run.yaml").write_bytes(bytes(range(128, 256)))
    assert "can't read" in place.generate(place / "run.yaml")
    assert "can't read" in place.generate(place / "nothing.yaml")
    assert "can't read" in place.generate(place.root)
