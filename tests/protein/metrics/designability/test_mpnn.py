"""Contract: our Cα-only ProteinMPNN is the published one.

Same log-probabilities as the upstream program on the same coordinates (golden values), causal
in the decoding order, repeatable by seed, right for every batch size (three included, where
upstream's cross product takes the wrong axis), and loud about wrong units, files and letters.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from protein.chains import screw
from protein.designers import weights_or_skip

from domains.errors import FewstepError
from domains.protein.metrics.designability import mpnn

LETTERS = mpnn.ALPHABET


@pytest.fixture(scope="module")
def models() -> dict[str, mpnn.ProteinMPNN]:
    place = weights_or_skip()
    return {name: mpnn.load(name, place) for name in mpnn.WEIGHTS_SHA256}


@pytest.fixture(scope="module")
def case(golden: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    directory = golden / "mpnn"
    if not directory.is_dir():
        pytest.skip(f"no golden values in {directory}")
    expected = json.loads((directory / "expected.json").read_text())
    with np.load(directory / "expected_arrays.npz") as arrays:
        return expected, dict(arrays)


@pytest.fixture
def chain() -> np.ndarray:
    """A helix of 30 residues around the origin."""
    return screw() - screw().mean(0)


def test_golden_hashes_are_the_ones_in_the_code(case):
    expected, _ = case
    for name, digest in expected["weights_sha256"].items():
        assert mpnn.WEIGHTS_SHA256[name] == digest


def test_golden_log_probabilities(case, models):
    expected, arrays = case
    points, native = arrays["coords"] / 10, expected["native_sequence"]
    kinds = [LETTERS.index(letter) for letter in native]
    forward = list(range(len(native)))
    for name, values in expected["models"].items():
        model = models[name]
        for label, order in (("n_to_c", forward), ("c_to_n", forward[::-1])):
            logs = model.log_probabilities(points, [native], order)[0].numpy()
            chosen = logs[np.arange(len(native)), kinds]
            assert np.abs(chosen - arrays[f"{name}_logp_native_{label}"]).max() < 1e-3
            mean = model.nll(points, [native], order).item()
            assert mean == pytest.approx(values[f"nll_native_{label}"], abs=1e-4)


def test_golden_unconditional(case, models):
    expected, arrays = case
    kinds = [LETTERS.index(letter) for letter in expected["native_sequence"]]
    for name, values in expected["models"].items():
        logs = models[name].unconditional(arrays["coords"] / 10).numpy()
        assert np.abs(logs - arrays[f"{name}_uncond_logp"]).max() < 1e-3
        mean = -logs[np.arange(len(kinds)), kinds].mean()
        assert mean == pytest.approx(values["nll_native_unconditional"], abs=1e-4)
        best = "".join(LETTERS[kind] for kind in logs.argmax(1))
        assert best == values["uncond_argmax_sequence"]


def test_golden_greedy_design_in_a_batch_of_three(case, models):
    expected, arrays = case
    points = arrays["coords"] / 10
    order = range(len(points))
    for name, values in expected["models"].items():
        designed = models[name].design(points, 3, temperature=1e-4, order=order)
        assert designed == [values["greedy_n_to_c_sequence"]] * 3
        nll = models[name].nll(points, designed[:1], order).item()
        assert nll == pytest.approx(values["nll_of_greedy_n_to_c"], abs=1e-4)


def test_golden_mirror_image(case, models):
    """The origin enters at the chain's ends, so which mirror is used moves the mean a little."""
    expected, arrays = case
    for name, values in expected["models"].items():
        mirrored = arrays["coords"] / 10 * np.array([1, 1, -1])
        found = models[name].nll(mirrored, [expected["native_sequence"]]).item()
        assert found == pytest.approx(values["mirror_image_nll_native_n_to_c"], abs=0.02)


def test_a_residue_depends_only_on_those_decoded_earlier(models, chain):
    model, order = models["v_48_020"], np.random.default_rng(0).permutation(30).tolist()
    first = "A" * 30
    changed = list(first)
    place = order[15]
    changed[place] = "W"
    logs = model.log_probabilities(chain, [first, "".join(changed)], order)
    difference = (logs[0] - logs[1]).abs().amax(-1)
    assert (difference[order[:16]] == 0).all()
    assert (difference[order[16:]] > 0).any()


def test_sampling_draws_from_the_scored_distribution(models, chain):
    """The cached decoder of ``design`` and the parallel one of ``nll`` must agree."""
    model, order = models["v_48_020"], list(range(29, -1, -1))
    greedy = model.design(chain, 1, temperature=1e-6, order=order)
    logs = model.log_probabilities(chain, greedy, order)[0, :, :-1]
    assert "".join(LETTERS[kind] for kind in logs.argmax(-1)) == greedy[0]


def test_designs_repeat_by_seed_and_never_contain_x(models, chain):
    model = models["v_48_002"]
    first = model.design(chain, 4, temperature=5.0, seed=1)
    assert first == model.design(chain, 4, temperature=5.0, seed=1)
    assert first != model.design(chain, 4, temperature=5.0, seed=2)
    assert len(set(first)) == 4
    assert not set("".join(first)) - set(LETTERS[:-1])


def test_scores_do_not_depend_on_the_batch(models, chain):
    model = models["v_48_020"]
    sequences = model.design(chain, 3, temperature=1.0)
    together = model.nll(chain, sequences)
    apart = torch.cat([model.nll(chain, [sequence]) for sequence in sequences])
    assert torch.allclose(together, apart, atol=1e-6)


def test_an_encoding_stands_for_its_structure(models, chain):
    model = models["v_48_020"]
    encoding = model.encode(chain)
    assert model.design(encoding, 2) == model.design(chain, 2)


def test_chains_of_awkward_length(models):
    """Six residues make three frames: where upstream's cross product goes wrong."""
    turn = np.radians(100.0) * np.arange(6)
    points = np.stack([0.23 * np.cos(turn), 0.23 * np.sin(turn), 0.15 * np.arange(6)], axis=1)
    for length in (5, 6):
        assert torch.isfinite(models["v_48_020"].unconditional(points[:length])).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x * 10, "nanometres"),
        (lambda x: np.where(np.arange(30)[:, None] == 3, np.nan, x), "finite"),
        (lambda x: x[:4], "n >= 5"),
        (lambda x: x[None], "shape"),
    ],
)
def test_wrong_coordinates_are_refused(models, chain, change, message):
    with pytest.raises(FewstepError, match=message):
        models["v_48_020"].design(change(chain), 1)


def test_wrong_arguments_are_refused(models, chain):
    model = models["v_48_020"]
    with pytest.raises(FewstepError, match="30 letters"):
        model.nll(chain, ["A" * 29])
    with pytest.raises(FewstepError, match="letters"):
        model.nll(chain, ["J" * 30])
    with pytest.raises(FewstepError, match="decoding order"):
        model.design(chain, 1, order=[0] * 30)
    with pytest.raises(FewstepError, match="temperature"):
        model.design(chain, 1, temperature=0.0)


def test_wrong_files_are_refused(tmp_path):
    with pytest.raises(FewstepError, match="unknown ProteinMPNN"):
        mpnn.load("v_48_030", tmp_path)
    with pytest.raises(FewstepError, match="can't read"):
        mpnn.load("v_48_020", tmp_path)
    with pytest.raises(FewstepError, match="not found"):
        mpnn.load("v_48_020", tmp_path / "nowhere")
    (tmp_path / "v_48_020.pt").write_bytes(b"damaged")
    with pytest.raises(FewstepError, match="sha256"):
        mpnn.load("v_48_020", tmp_path)
