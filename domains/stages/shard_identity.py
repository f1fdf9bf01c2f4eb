"""What a shard is of: `shard.json` beside its tables names run, set, samples, seed and models.

Tables and samples of two sets look alike. Whoever puts shards together asks each one first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domains.errors import FewstepError

if TYPE_CHECKING:
    from domains.config import RunConfig

__all__ = ["BEGINNING", "IDENTITY", "check_identities", "identity", "read_identity", "with_tables"]

IDENTITY = "shard.json"
_FORMAT = "fewstep-shard-1"
# How each begins: files of this name that do not are somebody else's.
BEGINNING = '{\n "format": "fewstep-shard-'
# Hashes of the files that the samples were made with, where there are any.
_MADE_WITH = ("model_sha256", "weaker_sha256", "sampler_sha256")


def identity(settings: RunConfig, set_name: str, numbers: range) -> dict[str, Any]:
    """Return what a run's settings say of a shard: all that decides its samples.

    Args:
        settings: Of the run.
        set_name: Which of its sets.
        numbers: The shard's samples.

    Returns:
        Plain JSON. ``plan``, ``sampling`` and ``data`` are the first 16 digits of a sha256.
    """
    plan, sample_set = settings.plan(set_name), settings.sample_set(set_name)
    how = sample_set.model_dump(mode="json", exclude={"label", "reference"})
    return {
        "run": settings.name,
        "set": set_name,
        "samples": [numbers.start, numbers.stop],
        "seed": settings.seed,
        "plan": _mark([plan.request_key(number) for number in numbers]),
        "sampling": _mark({**how, "precision": plan.precision}),
        "data": _mark(settings.data.model_dump(mode="json")),
    }


def _mark(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def with_tables(facts: Mapping[str, Any], tables: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the content of ``shard.json``.

    Args:
        facts: The shard's ``identity``, and hashes of model, weaker model and searched sampler,
            where there are any.
        tables: Contents of the shard's tables, by name.
    """
    from domains.files.provenance import record

    contents = {name: hashlib.sha256(content).hexdigest() for name, content in tables.items()}
    return record(format=_FORMAT, **facts, tables=contents)


def read_identity(shard: Path) -> dict[str, Any]:
    """Return what a shard says it is.

    Raises:
        ValueError: It says nothing that can be read.
        OSError: It says nothing.
    """
    from domains.files.regular import read_json_object

    content = read_json_object(shard / IDENTITY)
    if content.get("format") != _FORMAT or not isinstance(content.get("tables"), dict):
        raise ValueError(f"{IDENTITY} is of another kind")
    return content


def check_identities(
    shards: Mapping[Path, range], settings: RunConfig, set_name: str, model: Path | None = None
) -> dict[str, str]:
    """Refuse shards of another run, set, plan, seed or model; they stay where they are.

    One that is missing or says nothing that can be read is left to ``read_index``.

    Args:
        shards: Directories and their sample numbers.
        settings: Of the run.
        set_name: Which of its sets.
        model: Directory of the model that they are to be samples of, if it is at hand; else all
            have to be of one.

    Returns:
        The hashes that all shards share: of model, weaker model and sampler, where there are any.

    Raises:
        FewstepError: A shard is another's; what differs is named. Or there is no such model.
    """
    common: dict[str, Any] = {} if model is None else {"model_sha256": _weights_hash(model)}
    for shard, numbers in shards.items():
        try:
            said = read_identity(shard)
        except (OSError, ValueError):
            continue
        _check_same(shard, identity(settings, set_name, numbers), said)
        made_with = {name: said.get(name) for name in _MADE_WITH}
        common = {**made_with, **common}
        _check_same(shard, common, made_with)
    return {name: value for name, value in common.items() if value}


def _weights_hash(model: Path) -> str:
    from domains.files.provenance import sha256

    try:
        return sha256(model / "model.safetensors")
    except OSError as error:
        raise FewstepError(f"can't read the model in {model}", got=error.strerror) from error


def _check_same(shard: Path, expected: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    for name, value in expected.items():
        if said.get(name) != value:
            raise FewstepError(
                f"{shard} is another's",
                expected=f"{name} {value}",
                got=said.get(name),
                do="Move it away and run the workflow again: only it is sampled again",
            )
