"""Contract: designability is the published protocol on any folding backend.

Best of the sequences' folds by Cα RMSD, below 0.2 nm; blind to rigid motion but not to mirror
images; a broken sample is never designable; a fold is made once and kept; ESMFold runs
through transformers, in batches of one length, and says in one line why it can't.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from protein.chains import screw
from protein.designers import untrained_designers

from domains.errors import FewstepError
from domains.protein.metrics.designability import self_consistency as module
from domains.protein.metrics.designability.mpnn import ProteinMPNN
from domains.protein.metrics.designability.self_consistency import (
    CachedFolding,
    Designability,
    Fold,
)


class Fake:
    """Answers every sequence with the structures it was given, in turn."""

    def __init__(self, *structures: np.ndarray):
        self.structures = structures
        self.name = "fake"
        self.asked: list[str] = []

    def fold(self, sequences):
        start = len(self.asked)
        self.asked += sequences
        chosen = [
            self.structures[(start + i) % len(self.structures)] for i in range(len(sequences))
        ]
        return [Fold(points, 50.0 + number) for number, points in enumerate(chosen)]


@pytest.fixture(scope="module")
def designer() -> ProteinMPNN:
    """An untrained network: the protocol doesn't depend on good sequences."""
    return untrained_designers("untrained")[0]


@pytest.fixture
def chain() -> np.ndarray:
    return screw()


def rotated(points: np.ndarray) -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    return points @ (turn * np.sign(np.linalg.det(turn))) + 5.0


def test_the_true_fold_is_designable_wherever_it_lies(designer, chain):
    row = Designability(designer, Fake(rotated(chain))).describe(chain)
    assert row["sc_rmsd_nm"] == pytest.approx(0.0, abs=1e-6)
    assert row["sc_tm"] == pytest.approx(1.0, abs=1e-6)
    assert row["designability"] == 1.0
    assert "untrained" in row["designability_backend"] and "fake" in row["designability_backend"]
    assert len(row["designability_sequence"]) == len(chain)


@pytest.mark.parametrize(("scale", "designable"), [(0.05, 1.0), (0.3, 0.0)])
def test_the_limit_is_two_angstrom(designer, chain, scale, designable):
    noise = np.random.default_rng(0).normal(size=chain.shape)
    row = Designability(designer, Fake(chain + scale * noise)).describe(chain)
    assert 0.5 * scale < row["sc_rmsd_nm"] < 2 * scale
    assert row["designability"] == designable


def test_a_mirror_image_is_not_the_fold(designer, chain):
    row = Designability(designer, Fake(chain * np.array([1, 1, -1]))).describe(chain)
    assert row["sc_rmsd_nm"] > 0.05


def test_the_best_of_the_folds_counts(designer, chain):
    bad = chain + np.random.default_rng(0).normal(size=chain.shape)
    folder = Fake(bad, bad, chain, bad)
    row = Designability(designer, folder, count=4, temperature=1.0).describe(chain)
    assert len(folder.asked) == 4
    assert row["designability"] == 1.0
    assert row["plddt"] == 52.0
    assert row["designability_sequence"] == folder.asked[2]


def test_samples_are_folded_together_and_judged_alone(designer, chain):
    broken, other = chain * np.nan, chain[:20]
    folder = Fake(chain, chain, other, other)
    protocol = Designability(designer, folder, count=2)
    rows = protocol.describe_all([chain, broken, other])
    assert len(folder.asked) == 4
    assert [row["designability"] for row in rows] == [1.0, 0.0, 1.0]
    assert rows[1]["designability_sequence"] == "" and rows[0].keys() == rows[1].keys()
    assert rows[2] == Designability(designer, Fake(other), count=2).describe(other) | {
        "plddt": rows[2]["plddt"]
    }


def test_eight_sequences_at_a_tenth_are_the_default(designer):
    protocol = Designability(designer, Fake())
    assert (protocol.count, protocol.temperature) == (8, 0.1)


def test_a_broken_sample_is_not_designable(designer, chain):
    chain[3] = np.nan
    row = Designability(designer, Fake(chain)).describe(chain)
    assert np.isnan([row["sc_rmsd_nm"], row["sc_tm"], row["plddt"]]).all()
    assert row["designability"] == 0.0


@pytest.mark.parametrize("spoil", [lambda x: x[:-1], lambda x: x * np.nan])
def test_a_backend_that_answers_nonsense_is_an_error(designer, chain, spoil):
    with pytest.raises(FewstepError, match="unusable structure"):
        Designability(designer, Fake(spoil(chain))).describe(chain)


def test_a_fold_is_made_once_and_kept(tmp_path, chain):
    folder = Fake(chain)
    first = CachedFolding(folder, tmp_path).fold(["AAA", "AAA", "CCC"])
    second = CachedFolding(folder, tmp_path).fold(["CCC", "AAA"])
    assert folder.asked == ["AAA", "CCC"]
    assert all(np.array_equal(fold.points, chain) for fold in [*first, *second])
    folder.name = "other weights"
    CachedFolding(folder, tmp_path).fold(["AAA"])
    assert folder.asked == ["AAA", "CCC", "AAA"]


def test_a_damaged_kept_fold_is_named(tmp_path, chain):
    cached = CachedFolding(Fake(chain), tmp_path)
    name = hashlib.sha256(b"fake\nAAA").hexdigest()
    (tmp_path / f"{name}.npz").write_bytes(b"damaged")
    with pytest.raises(FewstepError, match=name):
        cached.fold(["AAA"])


TRUNK = {
    "num_blocks": 1,
    "sequence_state_dim": 64,
    "pairwise_state_dim": 32,
    "sequence_head_width": 32,
    "pairwise_head_width": 16,
    "max_recycles": 1,
    "structure_module": {
        "sequence_dim": 32,
        "pairwise_dim": 16,
        "ipa_dim": 4,
        "resnet_dim": 16,
        "num_heads_ipa": 2,
        "num_blocks": 1,
        "num_transition_layers": 1,
        "num_resnet_blocks": 1,
    },
}
SPECIAL = ["<cls>", "<pad>", "<eos>", "<unk>"]
REST = [*"XBUZO.-", "<null_1>", "<mask>"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved ESMFold with random weights, one block."""
    transformers = pytest.importorskip("transformers", reason="optional: transformers==4.57.1")
    config = transformers.EsmConfig(
        vocab_size=33,
        vocab_list=[*SPECIAL, *"LAGVSERTIDPKQNFYMHWC", *REST],
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        pad_token_id=1,
        mask_token_id=32,
        position_embedding_type="rotary",
        is_folding_model=True,
        esmfold_config={"fp16_esm": True, "trunk": TRUNK, "lddt_head_hid_dim": 16},
    )
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("esmfold")
    transformers.EsmForProteinFolding(config).save_pretrained(path)
    return path


def test_esmfold_runs_through_transformers(tiny):
    folder = module.load_esmfold(str(tiny), chunk_size=4)
    sequences = ["ACDEFGHIKLMN", "ACDEFG"]
    folds = folder.fold(sequences)
    assert [fold.points.shape for fold in folds] == [(12, 3), (6, 3)]
    assert all(np.isfinite(fold.points).all() and 0 <= fold.plddt <= 100 for fold in folds)
    # Alone, and in nanometre: the program's own answer is in angstrom.
    with torch.inference_mode():
        own = folder.model.infer(sequences[1])["positions"][-1, 0, :, 1].numpy()
    assert np.allclose(folds[1].points * 10, own, atol=1e-4)


def test_esmfold_takes_equal_lengths_together(tiny, monkeypatch):
    folder = module.load_esmfold(str(tiny))
    sequences = ["ACDEFGHIKLMN", "ACDEFG", "NMLKIHGFEDCA", "GFEDCA", "LLLLLL"]
    alone = [folder.fold([sequence])[0] for sequence in sequences]
    asked, infer = [], folder.model.infer

    def recorded(some: list[str]) -> object:
        asked.append(list(some))
        return infer(some)

    monkeypatch.setattr(folder.model, "infer", recorded)
    monkeypatch.setattr(module, "_MOST_RESIDUES", 12)
    together = folder.fold(sequences)
    assert asked == [["ACDEFG", "GFEDCA"], ["LLLLLL"], ["ACDEFGHIKLMN"], ["NMLKIHGFEDCA"]]
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(one.points, other.points, atol=1e-5)
        assert one.plddt == pytest.approx(other.plddt, abs=1e-3)


def test_other_weights_have_another_fingerprint(tiny):
    first = module.load_esmfold(str(tiny))
    before = module.fingerprint(first.model)
    assert before in first.name
    first.model.distogram_head.bias.data[0] += 1
    assert module.fingerprint(first.model) != before


def test_a_checkpoint_without_the_folding_trunk_is_refused(tiny, tmp_path):
    """transformers would fill what is missing with random numbers and go on."""
    safetensors = pytest.importorskip("safetensors.torch")
    state = safetensors.load_file(tiny / "model.safetensors")
    kept = {name: value for name, value in state.items() if name.startswith("esm.")}
    safetensors.save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((tiny / "config.json").read_text())
    with pytest.raises(FewstepError, match="doesn't hold all of ESMFold"):
        module.load_esmfold(str(tmp_path))


def test_weights_that_are_nowhere_are_one_line(tmp_path):
    pytest.importorskip("transformers", reason="optional: transformers==4.57.1")
    with pytest.raises(FewstepError, match="nothing at"):
        module.load_esmfold(tmp_path / "nowhere")
    with pytest.raises(FewstepError, match="can't load ESMFold") as caught:
        module.load_esmfold(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_without_transformers_it_says_what_to_install(monkeypatch):
    import builtins

    real = builtins.__import__

    def refuse(name, *arguments, **keywords):
        if name.startswith("transformers"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(FewstepError, match="pip install"):
        module.load_esmfold("facebook/esmfold_v1")
