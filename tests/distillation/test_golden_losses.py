"""Contract: with the reference's draws, SiD's losses and gradients are the reference's.

"reference" centring and weighting repeat its habits (its mean runs over padding, its weight
favours short chains), including that its student's samples are not centred.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from distillation.make import make
from distillation.reference_flow import ReferenceFlow
from protein.network.golden_files import (
    GoldenNetwork,
    Replay,
    arrays,
    assert_close,
    golden_network,
    read_json,
)
from torch import Tensor

from domains.batch import Batch
from domains.distillation.objectives.objective import denoising_loss, per_sample
from domains.distillation.objectives.sid import SiD, sid_loss
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.sampling.schedule import log_time, renoise_times
from domains.distillation.times import Times
from domains.protein.denoiser import ProteinaDenoiser

RELATIVE = 1e-5
# From the same two estimates the loss is the same to rounding. It is a sum of terms that cancel, so
# the estimates' own rounding shows: what is compared is its share of the sum of absolute terms.
FORMULA, CANCELLED, OF_TERMS = 1e-6, 1e-4, 1e-6
SCALE = 100.0  # of the golden student gradients
EARLIEST = 0.02
PROCESS = ReferenceFlow()


@dataclass(frozen=True)
class GivenDraws(Draws):
    """Hands out a fixture's draws by name."""

    noises: dict[str, Replay] = field(default_factory=dict)
    step: int = 0

    def noise(self, name: str) -> Replay:
        return self.noises[name]

    def integer(self, name: str, below: int) -> int:
        assert name == "step" and self.step < below
        return self.step


class GivenTimes(Times):
    """Hands out a fixture's times."""

    given: Any

    def sample(self, count: int, source: torch.Generator) -> Tensor:
        return self.given


@dataclass(frozen=True)
class Fixture:
    values: dict[str, Tensor]
    network: GoldenNetwork
    directory: Path

    def groups(self, kind: str) -> list[str]:
        found = sorted({k.rpartition(".")[0] for k in self.values if k.startswith(kind + ".")})
        assert found
        return found

    def denoiser(self, role: str | None = None) -> ProteinaDenoiser:
        weights = self.directory / f"{role}_weights.safetensors" if role else None
        return self.network.denoiser(weights=weights)

    def batch(self, name: str = "mask") -> Batch:
        return Batch(mask=self.values[name])


@pytest.fixture(scope="module")
def sid(golden: Path) -> Fixture:
    directory = golden / "protein/loss"
    return Fixture(arrays(directory / "sid.npz"), golden_network(golden, "notri"), directory)


def number(group: str, name: str) -> float:
    """Read "…name1.2.…" from a group's name."""
    return float(group.partition(name)[2][:4].rstrip(".s"))


def terms(clean: Tensor, teacher: Tensor, fake: Tensor, batch: Batch, alpha: float) -> Tensor:
    """Return SiD's loss of each sample, multiplied out, with the absolute value of each term."""
    x, real, false = clean.abs(), teacher.abs(), fake.abs()
    expanded = (real + false) * (real + x + alpha * (real + false))
    weight = per_sample((clean - teacher).abs(), batch) * batch.sizes
    return per_sample(expanded, batch) / weight


def test_student_loss_and_gradient_agree(sid):
    teacher, fake, batch = sid.denoiser(), sid.denoiser("fake"), sid.batch()
    for group in sid.groups("gen"):
        given = {k.removeprefix(f"{group}."): v for k, v in sid.values.items()}
        alpha, latest = number(group, "alpha"), number(group, "tmax")
        time = log_time(given["t_step"]).clamp(EARLIEST, latest)
        assert torch.equal(time, given["t"]), group
        raw = sid.values["x_g"].clone().requires_grad_(True)
        clean = PROCESS.target(raw, batch)
        noisy = PROCESS.perturb(clean, given["x_0_raw"], time, batch)
        assert_close(noisy.detach(), given["x_t"], RELATIVE, group)
        real, false = teacher(noisy, time, batch), fake(noisy, time, batch)
        assert_close(real.detach(), given["y_real"], RELATIVE, group)
        assert_close(false.detach(), given["y_fake"], RELATIVE, group)
        expected = given["loss"]
        formula = sid_loss(
            clean.detach(), given["y_real"], given["y_fake"], batch, alpha, "reference"
        )
        assert_close(formula, expected, FORMULA, group)
        loss = sid_loss(clean, real, false, batch, alpha, "reference")
        total = terms(clean.detach(), given["y_real"], given["y_fake"], batch, alpha)
        assert ((loss.detach() - expected).abs() <= OF_TERMS * total).all(), group
        (SCALE * loss.mean()).backward()
        assert_close(raw.grad, given["grad_x_g_of_100sum_over_b"], CANCELLED, group)
        assert raw.grad[~batch.mask].abs().max() == 0


def test_fake_score_loss_and_gradient_agree(sid):
    batch = sid.batch()
    norms = read_json(sid.directory / "meta.json")
    for group in sid.groups("fake"):
        given = {k.removeprefix(f"{group}."): v for k, v in sid.values.items()}
        time = given["t"]
        late = torch.where(given["draw2_rand"] <= 0.02, given["draw1_rand"], given["draw0_beta"])
        assert torch.equal(late.clamp(EARLIEST, number(group, "tmax")), time), group
        fake = sid.denoiser("fake").requires_grad_(True)
        clean = PROCESS.target(sid.values["x_g"], batch)
        noisy = PROCESS.perturb(clean, given["draw3_randn"], time, batch)
        assert_close(noisy, given["x_t"], RELATIVE, group)
        loss = denoising_loss(fake(noisy, time, batch), clean, time, batch, PROCESS)
        assert_close(loss.detach(), given["loss"], RELATIVE, group)
        loss.mean().backward()
        assert_gradients(fake, given, norms[f"{group}.grad_norm"])


def assert_gradients(
    denoiser: ProteinaDenoiser, given: dict[str, Tensor], total: float, relative: float = RELATIVE
) -> None:
    network = denoiser.network
    for weight, key in (
        (network.linear_3d_embed.weight, "grad_linear_3d_embed"),
        (network.coors_3d_decoder[1].weight, "grad_coors_decoder"),
    ):
        assert weight.grad is not None
        assert_close(weight.grad, given[key], relative, key)
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    assert float(norm) == pytest.approx(total, rel=relative)


def test_roll_out_loss_and_gradient_agree_end_to_end(sid):
    given = {k.removeprefix("e2e."): v for k, v in sid.values.items() if k.startswith("e2e.")}
    meta = read_json(sid.directory / "meta.json")["e2e"]
    normal = [given[key] for key in sorted(given) if key.endswith("_randn")]
    chosen = meta["train_step_used"]
    assert len(normal) == chosen + 2
    batch, student = Batch(mask=given["mask"]), sid.denoiser("gen").requires_grad_(True)
    times = GivenTimes(kind="uniform", given=given["t"])
    objective = make(SiD, student_times=times, alpha=1.0, scale=SCALE, weighting="reference")
    roll_out = RollOut(renoise_times(len(meta["t_steps"])))
    roles = Roles(PROCESS, student, sid.denoiser(), {"fake": sid.denoiser("fake")}, roll_out)

    def draws() -> GivenDraws:
        noises = {"roll-out": Replay(torch.stack(normal[:-1])), "noise": Replay(normal[-1][None])}
        return GivenDraws((), noises=noises, step=chosen)

    clean = roles.play(batch, draws(), gradient=False)
    assert_close(clean, given["x_g"], RELATIVE)
    loss = objective.student_loss(roles, batch, draws()).value
    noisy = PROCESS.perturb(clean, normal[-1], given["t"], batch)
    with torch.no_grad():
        estimates = [role(noisy, given["t"], batch) for role in (roles.teacher, roles.fake("fake"))]
    total = SCALE * float(terms(clean, *estimates, batch, alpha=1.0).mean())
    expected = SCALE * float(given["loss"].mean())
    assert float(loss.detach()) == pytest.approx(expected, abs=OF_TERMS * total)
    assert total < 1000 * abs(expected), "else the bound would let through another loss"
    loss.backward()
    assert_gradients(student, given, float(given["grad_total_norm"]), CANCELLED)
