"""Contract: clean estimates are masked, in nm, from either target; labels are the mapping's."""

from pathlib import Path

import pytest
import torch
from tiny_run import NETWORK

from domains.batch import Batch
from domains.errors import FewstepError
from domains.protein.data.cath import CathMapping
from domains.protein.denoiser import ProteinaDenoiser
from domains.protein.network import NetworkConfig, Proteina
from domains.protein.network.initialise import initialise

CODES = {"C": {"1": 0, "2": 1}, "A": {"1.10": 0, "2.40": 1}, "T": {"1.10.8": 0, "2.40.50": 1}}


def denoiser(target: str = "v", **changes: object) -> ProteinaDenoiser:
    mapping = CathMapping.from_dict(CODES)
    network = Proteina(NetworkConfig.parse(NETWORK | changes, "test"), (2, 2, 2))
    initialise(network, 0)
    # Untrained gates are almost closed: open them, or labels would hardly show.
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith("bias") or "gamma" in name:
                value.normal_(generator=torch.Generator().manual_seed(value.numel()))
    return ProteinaDenoiser(network, target, mapping)


@pytest.fixture
def batch() -> Batch:
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 6:] = False
    return Batch(mask=mask)


NOISY = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0))
TIME = torch.tensor([0.2, 0.7])


def labelled(batch: Batch, *codes: list[str]) -> Batch:
    return Batch(mask=batch.mask, condition={"cath_code": list(codes)})


def test_velocity_and_clean_target_agree(batch: Batch) -> None:
    """x = x_t + (1 − t) v (Proteina's flow, α = t, σ = 1 − t)."""
    velocity, clean = denoiser("v"), denoiser("x_1")
    out = clean(NOISY, TIME, batch)
    expected = (NOISY + (1 - TIME)[:, None, None] * out) * batch.mask[..., None]
    torch.testing.assert_close(velocity(NOISY, TIME, batch), expected)
    assert (out[1, 6:] == 0).all() and (out[1, :6] != 0).any()


def test_unknown_target_is_refused() -> None:
    with pytest.raises(FewstepError, match="v or x_1"):
        denoiser("score")


def test_labels_matter_and_null_labels_are_none(batch: Batch) -> None:
    model = denoiser()
    free = model(NOISY, TIME, batch)
    known = model(NOISY, TIME, labelled(batch, ["1.10.8.10"], ["2.40.50.1"]))
    assert (free - known)[0].abs().max() > 1e-4
    for code in ("x.x.x.x", "9.99.99.99"):
        null = model(NOISY, TIME, labelled(batch, [code], []))
        torch.testing.assert_close(null, free)


def test_homology_is_not_embedded(batch: Batch) -> None:
    model = denoiser()
    one, other = (labelled(batch, [f"1.10.8.{h}"], []) for h in (10, 20))
    assert torch.equal(model(NOISY, TIME, one), model(NOISY, TIME, other))


@pytest.mark.parametrize("mode", ["sample", "average"])
def test_a_label_does_not_depend_on_the_batch(batch: Batch, mode: str) -> None:
    """Also with several labels: the draw is the same at each step and in each batch."""
    model = denoiser(multilabel_mode=mode)
    several = ["1.10.8.10", "2.40.50.1"]
    both = model(NOISY, TIME, labelled(batch, several, ["1.10.8.10"]))
    alone = Batch(mask=batch.mask[:1], condition={"cath_code": [several]})
    again = model(NOISY[:1], TIME[:1], alone)
    torch.testing.assert_close(both[:1], again)


def test_self_conditioning_matters(batch: Batch) -> None:
    model = denoiser()
    previous = torch.roll(NOISY, 1, 0) * batch.mask[..., None]
    assert not torch.allclose(model(NOISY, TIME, batch), model(NOISY, TIME, batch, previous))


def test_model_survives_writing(batch: Batch, tmp_path: Path) -> None:
    model = denoiser("x_1")
    model.save(tmp_path, note="here")
    loaded = ProteinaDenoiser.load(tmp_path)
    assert (loaded.target, loaded.motif, loaded.mapping) == ("x_1", False, model.mapping)
    given = labelled(batch, ["1.10.8.10"], [])
    assert torch.equal(loaded(NOISY, TIME, given), model(NOISY, TIME, given))


@pytest.mark.parametrize("damage", ["missing", "extra", "shape"])
def test_weights_must_fit(damage: str) -> None:
    model = denoiser()
    weights = dict(model.network.state_dict())
    name = next(iter(weights))
    if damage == "missing":
        del weights[name]
    elif damage == "extra":
        weights["unknown"] = torch.zeros(1)
    else:
        weights[name] = weights[name][:-1]
    config = {"network": model.network.config.model_dump(mode="json"), "cath_mapping": CODES}
    with pytest.raises(FewstepError, match="here"):
        ProteinaDenoiser.build(weights, config, "here")
