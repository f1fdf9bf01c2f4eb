"""Contract: any bytes are read or refused in one line; what is written is read again the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hostile.readers import READERS, attempt
from hostile.seeds import SEEDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tiny_run import content

from domains.config import load_config, parse_config
from domains.errors import FewstepError
from domains.files.model_files import read_model, write_model
from domains.lidar.files import read_whole, write_points
from domains.protein.checkpoint.proteina import read_checkpoint
from domains.protein.files.structure import read_ca, write_mmcif, write_pdb

few = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", READERS)
def test_good_files_are_read(tmp_path: Path, name: str) -> None:
    """Else the properties below would say little; three of them are of no known network."""
    for data in SEEDS[name]:
        line = attempt(name, data, tmp_path)
        known = line is None or name in ("config", "program", "scenes")
        assert known, line


@pytest.mark.parametrize("name", READERS)
@given(data=st.binary(max_size=300))
@few
def test_any_bytes(tmp_path: Path, name: str, data: bytes) -> None:
    attempt(name, data, tmp_path)


EDIT = st.tuples(st.integers(0, 10**6), st.integers(0, 12), st.binary(max_size=12))


@pytest.mark.parametrize("name", READERS)
@given(
    seed=st.integers(0, 100), edits=st.lists(EDIT, min_size=1, max_size=4), cut=st.integers(0, 10)
)
@few
def test_any_damage(
    tmp_path: Path, name: str, seed: int, edits: list[tuple[int, int, bytes]], cut: int
) -> None:
    """Bytes are overwritten, inserted and left out."""
    data = SEEDS[name][seed % len(SEEDS[name])]
    for place, length, new in edits:
        place %= len(data) + 1
        data = data[:place] + new + data[place + length :]
    attempt(name, data[: len(data) - cut * len(data) // 40], tmp_path)


# Round trips


TRACE = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-99.9, 99.9)
)


@pytest.mark.parametrize(("write", "suffix"), [(write_pdb, ".pdb"), (write_mmcif, ".cif")])
@given(points=TRACE, first=st.integers(-999, 9000))
@few
def test_traces(tmp_path: Path, write: Any, suffix: str, points: np.ndarray, first: int) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, points, first_residue=first)
    # Files hold 0.001 Å, and biotite reads them in float32.
    np.testing.assert_allclose(read_ca(path), points, atol=0.6e-4, rtol=1e-6)


CLOUD = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 30), st.just(3)),
    elements=st.floats(-1e5, 1e5, width=32, allow_subnormal=True),
)


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".bin"])
@given(points=CLOUD)
@few
def test_clouds(tmp_path: Path, suffix: str, points: np.ndarray) -> None:
    """Bit for bit; in a KITTI scan, only what could be text is refused."""
    write_points(tmp_path / f"a{suffix}", points)
    try:
        found = read_whole(tmp_path / f"a{suffix}")
    except FewstepError as error:
        assert suffix == ".bin" and "it is text" in str(error)
        return
    np.testing.assert_array_equal(found.view("u4"), points.view("u4"))


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
STATE = st.dictionaries(
    NAMES,
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    min_size=1,
    max_size=4,
)


@given(state=STATE)
@few
def test_weights(tmp_path: Path, state: dict[str, np.ndarray]) -> None:
    """The canonical form and torch.save's give the same tensors under the same names."""
    weights = {f"transformer_layers.{name}": torch.tensor(v) for name, v in state.items()}
    write_model(tmp_path / "model", weights, {})
    torch.save({"state_dict": weights}, tmp_path / "a.ckpt")
    for found in (read_model(tmp_path / "model")[0], read_checkpoint(tmp_path / "a.ckpt").weights):
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[name], value) for name, value in weights.items())


# Settings


VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["sde", "data", "student", "pretrain", "lidar", "protein", 1, 40, 0.5]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["kind", "steps", "fit"]), inner)
    ),
    max_leaves=8,
)


def places(node: Any, path: tuple = ()) -> list[tuple]:
    """The paths of all keys at any depth."""
    keys = list(node) if isinstance(node, dict) else []
    return [
        *((*path, key) for key in keys),
        *(p for k in keys for p in places(node[k], (*path, k))),
    ]


PLACES = places(content())


@given(place=st.sampled_from(PLACES), value=VALUE)
@settings(few, max_examples=80)
def test_settings(tmp_path: Path, place: tuple, value: Any) -> None:
    """A setting of any value is refused by its name, or comes back from JSON as it was."""
    whole = content()
    parent = whole
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8", errors="replace")
    try:
        found = load_config(path)
    except FewstepError as error:
        assert "run.yaml" in str(error) and len(str(error)) < 1000
        return
    assert parse_config(json.loads(found.model_dump_json())) == found
