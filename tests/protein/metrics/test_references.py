"""Contract: descriptors of training domains are the same, computed before or when needed."""

import json
from pathlib import Path

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.protein.data.dataset import load_domains
from domains.protein.metrics import references
from domains.protein.metrics.folds.distribution import described
from domains.protein.metrics.references import References, write_descriptors

SIZES = 62, 62


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_descriptors(tmp_path / "references.json", None, *SIZES)
    return tmp_path / "references.json"


def test_what_was_written_is_not_computed_again(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, asked = References.of(None, *SIZES), []

    def counted(chains):
        asked.extend(chains)
        return described(asked)

    monkeypatch.setattr(references, "described", counted)
    known = References.of(None, *SIZES, written)
    assert not asked and len(known) == len(plain) > 100
    np.testing.assert_array_equal(known.descriptors, plain.descriptors)
    assert known.codes == plain.codes
    wider = References.of(None, SIZES[0] - 1, SIZES[1] + 1, written)
    assert 0 < len(asked) == len(wider) - len(known)
    monkeypatch.undo()
    again = References.of(None, SIZES[0] - 1, SIZES[1] + 1)
    np.testing.assert_array_equal(wider.descriptors, again.descriptors)


def test_sizes_that_no_domain_has_are_no_error(tmp_path: Path) -> None:
    write_descriptors(tmp_path / "r.json", None, 4000, 4000)
    assert len(References.of(None, 4000, 4000, tmp_path / "r.json")) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"made_of": {"data_sha256": "0", "tools": "x"}}, "was made of other data"),
        ({"made_of": 3}, "holds no descriptors"),
        ({"descriptors": [[0.0] * 6]}, "holds no descriptors"),
        ({"descriptors": "many"}, "holds no descriptors"),
    ],
)
def test_other_descriptors_are_refused(written: Path, change: dict, words: str) -> None:
    written.write_text(json.dumps(json.loads(written.read_text()) | change))
    with pytest.raises(FewstepError, match=words):
        References.of(None, *SIZES, written)


def test_descriptors_of_other_domains_are_refused(written: Path, tmp_path: Path) -> None:
    """The user's file holds the same domains, but it is another."""
    from domains.protein.data.dataset import PACKED

    other = tmp_path / "mine.npz"
    other.write_bytes(PACKED.read_bytes() + b"\0")
    assert len(load_domains(str(other))) == len(load_domains())
    with pytest.raises(FewstepError, match="other data"):
        References.of(str(other), *SIZES, written)
