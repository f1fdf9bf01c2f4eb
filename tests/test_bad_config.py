"""Contract: wrong settings are one line and exit code 2, through the real command line."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from refusals import Place, make_place
from tiny_run import content, save_teacher, write_config


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_teacher(tmp_path_factory.mktemp("model"))


@pytest.fixture
def place(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> Place:
    return make_place(tmp_path, teacher, monkeypatch, capfd)


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
}


@pytest.mark.parametrize(("text", "words"), TEXTS.values(), ids=TEXTS)
def test_text_of_the_config(place: Place, text: str, words: str) -> None:
    (place / "run.yaml").write_text(text)
    line = place.generate(place / "run.yaml")
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
    "average of 1": ({"students": {"student": {"fit": {"ema": 1.0}}}}, "fit.ema"),
    "students are a list": ({"students": ["a"]}, "students"),
    "title is a list": ({"title": ["a"]}, "title"),
}


@pytest.mark.parametrize(("changes", "words"), SETTINGS.values(), ids=SETTINGS)
def test_settings(place: Place, changes: dict[str, Any], words: str) -> None:
    line = place.generate(write_config(place / "run.yaml", **changes))
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
