"""Contract: with the reference's noise, samplers take the reference's steps.

Every network call is compared: its time, its input, its clean estimate. The stochastic
sampler is compared in absolute terms: with random weights and few steps its first step
overshoots to 100 nm and comes back, so that a tolerance relative to the largest value would
hide everything; there, float32 itself carries about 1e-5 of those 100 nm.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from distillation.reference_flow import ReferenceFlow
from protein.network.golden_files import (
    GoldenNetwork,
    Replay,
    arrays,
    golden_network,
    golden_networks,
    read_json,
)

from domains.batch import Batch, Request
from domains.config import SampleSet
from domains.distillation.denoiser import Denoiser, Guided, Unconditional
from domains.distillation.process import FlowMatching
from domains.distillation.sampling.sampler import SDE, Step, integrate, renoise
from domains.distillation.sampling.schedule import renoise_times, sampling_times
from domains.field import load_field
from domains.stages.sampling import Sampled, Sampling

TOLERANCE = 1e-4
# Last stochastic time of these grids; 0.99 otherwise.
UNTIL = {"cos_sch_v_snr": 0.985, "edm": 0.985}
WEAKER = "protein/sampler/autoguidance_weights_fold_sample.safetensors"
_NETWORKS = {"notri": "notri", "tri": "tri", "motif": "motif"}


CENTRINGS = {"masked": FlowMatching(), "reference": ReferenceFlow()}


def sampled(
    denoiser: Denoiser, process: FlowMatching, batch: Batch, noise: Replay, how: dict[str, Any]
) -> list[Step]:
    steps = round(1 / how["dt"])
    times = sampling_times(how["schedule_mode"], steps, how["schedule_p"])
    sde = None
    if how["sampling_mode"] == "sc":
        until = UNTIL.get(how["schedule_mode"], 0.99)
        shape = (how["gt_mode"], how["gt_p"], how["gt_clamp_val"])
        sde = SDE(how["sc_scale_noise"], *shape, until)
    with torch.no_grad():
        return list(integrate(denoiser, process, batch, times, noise, sde, how["self_cond"]))


def assert_steps(steps: list[Step], expected: dict[str, torch.Tensor], name: str) -> None:
    mask = expected["mask"]
    times = torch.tensor([step.time for step in steps])
    assert torch.equal(times, expected["t"]), name
    for index, step in enumerate(steps):
        for ours, key in ((step.noisy, "x_t"), (step.clean, "x1_pred")):
            if key in expected:
                assert_near(ours[mask], expected[key][index][mask], f"{name} {key} {index}")
    assert_near(steps[-1].points, expected["x_final"], f"{name} x_final")


def assert_near(ours: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    """Compare in absolute terms up to 10 nm, then in proportion."""
    bound = TOLERANCE * max(1.0, float(expected.abs().max()) / 10)
    error = float((ours - expected).abs().max())
    assert error <= bound, f"{what}: error {error:.1e}, bound {bound:.1e}"


def network_cases(golden: Path) -> dict[str, dict[str, Any]]:
    """Settings of the cases whose file is there."""
    directory = golden / "protein/sampler"
    settings = read_json(directory / "meta.json")
    found = {name: how for name, how in settings.items() if (directory / f"{name}.npz").exists()}
    assert found
    return found


def case_of(golden: Path, name: str) -> GoldenNetwork:
    return golden_network(golden, _NETWORKS.get(name.split("_")[0], "fold_sample"))


def guided(golden: Path, case: GoldenNetwork, name: str, how: dict[str, Any]) -> Denoiser:
    denoiser = case.denoiser("x_1" if "targetx1" in name else "v", motif="motif" in name)
    if how["guidance_weight"] == 1.0:
        return denoiser
    auto, ratio = None, how["autoguidance_ratio"]
    if ratio:
        auto = case.denoiser(weights=golden / WEAKER)
    plain = Unconditional(denoiser, ("cath_code",))
    return Guided(denoiser, how["guidance_weight"], plain, auto, ratio)


def condition(how: dict[str, Any], expected: dict[str, torch.Tensor]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if how["cath_code"] is not None:
        found["cath_code"] = how["cath_code"]
    if "fixed_sequence_mask" in expected:
        fixed = expected["fixed_sequence_mask"]
        found["motif_mask"] = fixed
        found["motif_pairs"] = fixed[:, :, None] & fixed[:, None]
        found["x_motif"] = FlowMatching().project(expected["x_motif_in"], Batch(mask=fixed))
    return found


def test_samplers_agree_step_by_step(golden: Path):
    for name, how in network_cases(golden).items():
        expected, case = arrays(golden / f"protein/sampler/{name}.npz"), case_of(golden, name)
        motif = "fixed_sequence_mask" in expected
        batch = Batch(mask=expected["mask"], condition=condition(how, expected))
        noise = Replay(expected["noise"])
        process = FlowMatching("none" if motif else "masked")
        steps = sampled(guided(golden, case, name, how), process, batch, noise, how)
        assert noise.used == len(expected["noise"]), name
        assert_steps(steps, expected, name)


@pytest.mark.parametrize("kind", ["ag", "cfg", "cfgag", "cond"])
def test_a_run_takes_the_references_steps(golden: Path, kind: str, monkeypatch):
    """The same values through the settings of a set: guidance, mixtures, calls."""
    cases = {k: how for k, how in network_cases(golden).items() if k.split("_")[0] == kind}
    for name, how in cases.items():
        expected, case = arrays(golden / f"protein/sampler/{name}.npz"), case_of(golden, name)
        share, weight = how["autoguidance_ratio"], how["guidance_weight"]
        settings = {
            "kind": "sde" if how["sampling_mode"] == "sc" else "ode",
            "steps": round(1 / how["dt"]),
            "noise_scale": how["sc_scale_noise"],
            "self_conditioning": how["self_cond"],
            "guidance": weight,
            "autoguidance": share,
        }
        set_of = SampleSet.model_validate({"model": "teacher", "sampler": settings})
        monkeypatch.setattr(
            "domains.stages.sampling.SampleNoise", lambda *_, found=expected: Replay(found["noise"])
        )
        weaker = case.denoiser(weights=golden / WEAKER) if share else None
        made = Sampling(load_field("protein"), case.denoiser(), set_of, 0, weaker).samples(
            asked(how, expected)
        )
        for row, sample in made.items():
            assert isinstance(sample, Sampled)
            size = len(sample.points)
            assert_near(sample.points, expected["x_final"][row, :size], name)
            assert sample.calls == settings["steps"] * (
                1 + (weight != 1) * ((share > 0) + (share < 1))
            )


def asked(how: dict[str, Any], expected: dict[str, torch.Tensor]) -> dict[int, Request]:
    """Return what the reference asked for, row by row."""
    sizes = expected["mask"].sum(-1).tolist()
    codes = how["cath_code"] or [[]] * len(sizes)
    pairs = enumerate(zip(sizes, codes, strict=True))
    return {k: Request(str(k), size, {"cath_code": tuple(one)}) for k, (size, one) in pairs}


def test_analytic_samplers_agree(golden: Path):
    directory = golden / "protein/sampler"
    values, settings = arrays(directory / "analytic.npz"), read_json(directory / "meta.json")
    centre = values["c"]

    def denoiser(noisy, time, batch, previous=None):
        t = time[:, None, None]
        return t * noisy + (1 - t) * (centre + (0.0 if previous is None else 0.1 * previous))

    names = [key.removeprefix("analytic.") for key in settings if key.startswith("analytic.")]
    names = [name for name in names if f"{name}.x_final" in values]
    assert names
    for name in names:
        expected = {k.removeprefix(f"{name}."): v for k, v in values.items()}
        expected["mask"] = values["mask"]
        noise, batch = Replay(expected["noise"]), Batch(mask=values["mask"])
        steps = sampled(denoiser, FlowMatching(), batch, noise, settings[f"analytic.{name}"])
        assert noise.used == len(expected["noise"]), name
        times = torch.tensor([step.time for step in steps])
        # Grids other than "log" differ by machine in their last place.
        torch.testing.assert_close(times, expected["t"], rtol=1e-6, atol=1e-6)
        expected["t"] = times
        assert_steps(steps, expected, name)


@pytest.mark.parametrize("centring", CENTRINGS)
def test_few_step_samplers_agree(golden: Path, centring):
    values = arrays(golden / "protein/sampler/sid_samplers.npz")
    names = sorted({key.rpartition(".")[0] for key in values if key.endswith(".x_g")})
    assert names
    denoiser = golden_network(golden, "notri").denoiser()
    for name in names:
        noise, calls = Replay(values[f"{name}.noise"]), values[f"{name}.x_t"]
        scale = re.search(r"_ns([0-9.]+)$", name)
        steps, samples, length, _ = calls.shape
        with torch.no_grad():
            taken = list(
                renoise(
                    denoiser,
                    CENTRINGS[centring],
                    Batch(mask=torch.ones(samples, length, dtype=torch.bool)),
                    renoise_times(steps),
                    noise,
                    float(scale[1]) if scale else 1.0,
                )
            )
        assert noise.used == len(noise.draws), name
        for step, call, clean in zip(taken, calls, values[f"{name}.x_g_steps"], strict=True):
            assert_near(step.noisy, call, name)
            assert_near(step.points, clean, name)
        assert_near(taken[-1].points, values[f"{name}.x_g"], name)


def test_there_are_networks_for_all_cases(golden: Path):
    present = {case.directory.name for case in golden_networks(golden)}
    used = {case_of(golden, name).directory.name for name in network_cases(golden)}
    assert used <= present
