"""Memory that distillation needs: what the weights take, and what gradients keep.

*Weights* is arithmetic in float32: 4 bytes a parameter for the frozen teacher and for the
student's average, 16 for the student and for each fake score (weight, gradient, Adam's two
moments). *Kept* is counted: the bytes of all tensors, weights apart, that the graph of one
forward pass holds for its backward pass, without and with `fit.activation_checkpointing`. SiD
differentiates through student, teacher and fake score at once; VSD and Distillation-DPO through
the student only. Nothing here ran on a GPU: add its allocator's slack and the CUDA context.

    OMP_NUM_THREADS=2 python -m benchmarks.memory_plan
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from benchmarks.lidar_network import cloud, spread, street
from benchmarks.protein_network import network as proteina
from domains.lidar.network import ConditionEncoder, NetworkConfig, NoisePredictor
from domains.protein.network.features import Inputs

GB = 1e9


def weights_gb(parameters: int, fakes: int) -> float:
    """Teacher, average, student and fake scores."""
    return parameters * (4 + 4 + 16 + 16 * fakes) / GB


def kept_gb(network: nn.Module, run: Callable[[], Tensor]) -> float:
    """Measure the GB that the autograd graph of ``run()`` holds, without the weights."""
    own = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    seen: dict[int, int] = {}
    held = []  # so that no address is given out twice

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
            held.append(value)
        return value

    with saved_tensors_hooks(pack, lambda value: value):
        run()
    return sum(seen.values()) / GB


def protein(size: str, length: int, bf16: bool) -> tuple[int, list[float]]:
    network = proteina(size, triangles=False)
    points = torch.randn(1, length, 3, requires_grad=True)
    mask = torch.ones(1, length, dtype=torch.bool)
    inputs = Inputs(x_t=points, t=torch.tensor([0.5]), mask=mask)

    def run() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return network(inputs).coors_pred

    return _both(network, run)


def lidar(points: int, timestep: int) -> tuple[int, list[float]]:
    config = NetworkConfig.parse({}, "LiDiff")
    encoder, network = ConditionEncoder(config).eval(), NoisePredictor(config).eval()
    partial = street(points // 10)
    with torch.no_grad():
        condition = encoder(cloud(partial))
    noisy = cloud(spread(partial, timestep))
    # Encoder included in the count of weights: every role has one.
    count = sum(weight.numel() for weight in encoder.parameters())
    parameters, kept = _both(network, lambda: network(noisy, torch.tensor([timestep]), condition))
    return parameters + count, kept


def _both(network: nn.Module, run: Callable[[], Tensor]) -> tuple[int, list[float]]:
    kept = []
    for recompute in (False, True):
        network.recompute = recompute  # type: ignore[assignment]
        kept.append(kept_gb(network, run))
    return sum(weight.numel() for weight in network.parameters()), kept


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Memory that distillation needs")
    parser.add_argument("--lengths", default="100,200,256")
    parser.add_argument("--points", default="20000,180000")
    given = parser.parse_args()
    torch.manual_seed(0)
    head = "| network | input | precision | parameters, M | weights, 1 fake, GB | 2 fakes, GB"
    print(f"{head} | kept, GB | recomputed, GB |\n|" + "---|" * 8)
    for size in ("60M", "200M"):
        for length in map(int, given.lengths.split(",")):
            for bf16 in (False, True):
                name = f"Proteina {size} | {length} residues | {'bf16' if bf16 else 'fp32'}"
                _row(name, *protein(size, length, bf16))
    for points in map(int, given.points.split(",")):
        for timestep in (60, 999):
            _row(f"LiDiff | {points} points, t = {timestep} | fp32", *lidar(points, timestep))


def _row(name: str, parameters: int, kept: list[float]) -> None:
    weights = " | ".join(f"{weights_gb(parameters, fakes):.2f}" for fakes in (1, 2))
    both = " | ".join(f"{value:.3f}" for value in kept)
    print(f"| {name} | {parameters / 1e6:.1f} | {weights} | {both} |", flush=True)


if __name__ == "__main__":
    main()
