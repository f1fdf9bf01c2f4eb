"""Contract: settings are whole and right before any job starts, and described where they are."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from tiny_run import content, write_config

from domains.config import RunConfig, SampleSet, load_config, parse_config, read_yaml
from domains.config.describe import PLACES, markdown, matrix_schema, schema
from domains.errors import FewstepError

ROOT = Path(__file__).parents[1]
# Those of matrices are in test_matrix.py.
EXAMPLES = sorted((ROOT / "workflows/config").glob("*/[!m]*.yaml"))


def models() -> dict[str, Any]:
    """Schemas of all models, by name."""
    matrix = json.loads(matrix_schema())
    found = {"MatrixConfig": matrix} | matrix["$defs"] | json.loads(schema())["$defs"]
    return {name: one for name, one in found.items() if "properties" in one}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_valid(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/0.bin").touch()
    config = load_config(path)
    again = parse_config(json.loads(config.model_dump_json()))
    assert again == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"sets": {"naive": {"points": 300}}},
        {"sets": {"naive": {"sampler": {"kind": "dpm"}}}},
        {"generate": {"scenes": 3}},
        {"data": {"scans": "x"}},
        {"data": {"simulate": {}}},
    ],
    ids=str,
)
def test_what_is_of_lidar_only_is_refused_for_proteins(wrong: dict) -> None:
    with pytest.raises(FewstepError):
        parse_config(content(**wrong))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_generated_files_are_in_step(place: Path) -> None:
    written = (ROOT / place).read_text(encoding="utf-8")
    assert written == PLACES[place](), "run `python -m domains.config.describe`"


def test_every_key_has_a_meaning() -> None:
    all_models = models()
    for name, model in all_models.items():
        for key, described in model["properties"].items():
            # Pydantic leaves out a meaning that is that of the model itself.
            inner = described.get("$ref", "").rpartition("/")[2]
            meaning = described.get("description") or all_models[inner]["description"]
            assert meaning.endswith("."), f"{name}.{key}"


def test_documentation_holds_every_key() -> None:
    text = markdown()
    for name, model in models().items():
        field = name.removesuffix("Run").lower()
        head = f"## A run's file: `domain: {field}`" if name.endswith("Run") else f"## `{name}`\n"
        section = text.split(head)[1]
        section = section.partition("\n## ")[0]
        for key in model["properties"]:
            assert f"\n| `{key}` | " in section, f"{name}.{key}"
    assert "number > 0, ≤ 1" in text and "`constant`, `cosine`" in text


def test_schema_refuses_unknown_keys() -> None:
    assert all(not m["additionalProperties"] for m in models().values())


def test_settings_are_frozen() -> None:
    config = parse_config(content())
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 1  # type: ignore[misc]


def test_defaults_are_valid_settings() -> None:
    """A default is not validated by pydantic, so a wrong one would stay unseen."""

    def check(model: BaseModel) -> None:
        type(model).model_validate(model.model_dump())
        for name in type(model).model_fields:
            if isinstance(value := getattr(model, name), BaseModel):
                check(value)

    config = parse_config(content())
    check(config)
    check(config.students["student"])


@pytest.mark.parametrize(
    ("facts", "role"),
    [
        ({"model": "data"}, "data"),
        ({"model": "fast"}, "student"),
        ({"model": "teacher", "sampler": {"kind": "sde", "steps": 400}}, "teacher"),
        ({"model": "teacher", "sampler": {"kind": "ode", "steps": 100}}, "teacher"),
        ({"model": "teacher", "sampler": {"kind": "sde", "steps": 99}}, "teacher_naive"),
        ({"model": "teacher", "sampler": {"kind": "renoise", "steps": 400}}, "teacher_naive"),
    ],
)
def test_roles(facts: dict, role: str) -> None:
    assert SampleSet.model_validate(facts).role == role


@pytest.mark.parametrize("shard_size", [1, 3, 4, 100])
def test_shards_hold_each_sample_once(shard_size: int) -> None:
    plan = parse_config(content(generate={"per_length": 5, "shard_size": shard_size})).generate
    numbers = [number for k in range(plan.shards) for number in plan.shard(k)]
    assert numbers == list(range(plan.count))
    assert [plan.size(k) for k in numbers].count(40) == 5
    more = parse_config(content(generate={"per_length": 9, "shard_size": shard_size})).generate
    assert [more.size(k) for k in numbers] == [plan.size(k) for k in numbers]


def test_weights_are_needed_only_by_model_based_measures() -> None:
    assert not parse_config(content()).needs_tools
    assert parse_config(content(evaluate={"proxy": True})).needs_tools
    assert parse_config(content(evaluate={"folding_model": "x"})).needs_tools


def test_merge_keys_of_yaml_are_no_duplicates(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("base: &b {x: 1}\na: {<<: *b, y: 2}\nb: {<<: *b, x: 3}\n")
    assert read_yaml(path) == {"base": {"x": 1}, "a": {"x": 1, "y": 2}, "b": {"x": 3}}


def test_numbers_may_be_written_as_yaml_reads_text(tmp_path: Path) -> None:
    """YAML 1.1 reads 1e-4 as text; it is a number all the same."""
    path = write_config(tmp_path / "c.yaml")
    path.write_text(path.read_text().replace("batch_size: 2", "student: {rate: 1e-4}"))
    assert isinstance(
        yaml.safe_load(path.read_text())["students"]["student"]["student"]["rate"], str
    )
    assert load_config(path).students["student"].student.rate == 1e-4


def test_all_loose_scans_are_meant_where_no_number_is_given(tmp_path: Path) -> None:
    for name in ("a.bin", "b.PLY", "notes.txt"):
        (tmp_path / name).touch()
    settings = {
        "name": "scans",
        "domain": "lidar",
        "teacher": "lidiff-mini",
        "data": {"scans": str(tmp_path)},
        "generate": {"batch_points": 9},
        "sets": {"one": {"model": "teacher", "sampler": {"kind": "dpm", "steps": 8}}},
    }
    assert parse_config(settings).generate.scenes == 2
    assert parse_config(settings | {"generate": {"scenes": 1}}).generate.scenes == 1
    for wrong, words in ((tmp_path / "nowhere", "no directory"), (tmp_path, "no scans")):
        if wrong == tmp_path:
            (tmp_path / "a.bin").unlink()
            (tmp_path / "b.PLY").unlink()
        with pytest.raises(FewstepError, match=words):
            parse_config(settings | {"data": {"scans": str(wrong)}})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{path: a, train: [00, 01], held_out: ['08']}", r"data\.train: .*in quotes: '00', not 0"),
        ("{path: a, held_out: 010}", r"data\.held_out: .*in quotes: '00', not 8"),
        ("{path: a, held_out: [1.5]}", r"data\.held_out: .*not 1\.5"),
        ("{path: a, held_out: [yes]}", r"data\.held_out: .*not True"),
        ("{scans: a, columns: [x, y]}", r"data\.columns: .*x, y and z, each once"),
        ("{scans: a, columns: [x, y, z, x]}", r"data\.columns: .*x, y and z, each once"),
        ("{scans: a, columns: xyz}", r"data\.columns"),
        ("{scans: a, columns: []}", r"data\.columns"),
        ("{simulate: {}, columns: [x, y, z]}", r"simulate excludes path, scans and columns"),
    ],
)
def test_data_that_are_not_meant_so(tmp_path: Path, data: str, words: str) -> None:
    (tmp_path / "c.yaml").write_text(
        f"name: a\ndomain: lidar\nteacher: lidiff-mini\ndata: {data}\n"
        "generate: {scenes: 1}\nsets: {data: {model: data}}\n"
    )
    with pytest.raises(FewstepError, match=words) as error:
        load_config(tmp_path / "c.yaml")
    assert len(str(error.value).splitlines()) == 1


def test_columns_are_names_and_none_by_default(tmp_path: Path) -> None:
    (tmp_path / "a.bin").touch()
    settings = {
        "name": "a",
        "domain": "lidar",
        "teacher": "lidiff-mini",
        "data": {"scans": str(tmp_path), "columns": ["x", "y", "z", "intensity", "ring"]},
        "generate": {},
        "sets": {"one": {"model": "teacher", "sampler": {"kind": "dpm", "steps": 8}}},
    }
    assert parse_config(settings).data.columns == ("x", "y", "z", "intensity", "ring")
    settings["data"].pop("columns")
    assert parse_config(settings).data.columns is None


def test_message_names_the_key() -> None:
    with pytest.raises(FewstepError, match=r"my\.yaml, generate\.per_length: .* got 0\."):
        parse_config(content(generate={"per_length": 0}), "my.yaml")


def test_config_is_a_run_config() -> None:
    assert isinstance(parse_config(content()), RunConfig)
