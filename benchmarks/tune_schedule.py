"""Tune times and noise scales of a frozen model's few-step sampling: a baseline without training.

What a student shows must be more than a better schedule would. Times are 1 - s with noise levels s
from s_first to s_last, evenly spaced in a power of their logarithm; noise scales change evenly from
the first call to the last. Both are drawn at random, judged by the domain's quick quality on some
samples, and the best few once more on others, so that the winner's luck does not count.

    python -m benchmarks.tune_schedule domains/protein/assets/proteina-mini --steps 8 --trials 60
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from domains.config import Generate, SampleSet
from domains.domain import Sample, load_domain
from domains.stages.sampling import Sampling

FINALISTS = 5


def drawn(stream: np.random.Generator, steps: int) -> dict:
    """Return a random sampler."""
    first, last = 1 - stream.uniform(0.05, 0.5), 10 ** stream.uniform(-2.5, -1.7)
    power = 10 ** stream.uniform(-0.3, 0.3)
    places = np.linspace(0, 1, steps) ** power
    times = 1 - first * (last / first) ** places
    return {
        "kind": "renoise",
        "steps": steps,
        "times": [round(float(t), 4) for t in times],
        "noise_scale": round(float(stream.uniform(0.2, 1)), 2),
        "noise_scale_end": round(float(stream.uniform(0.2, 1)), 2),
    }


def judged(domain, network, sampler: dict, plan: Generate, seed: int) -> dict[str, float]:
    """Return the quick measures of one batch of samples per length."""
    settings = SampleSet.model_validate({"model": "teacher", "sampler": sampler})
    sampling = Sampling(domain, network, settings, seed)
    requests = domain.requests(plan, range(plan.count), network, seed)
    made = []
    for size in sorted(set(plan.lengths)):
        asked = {k: one for k, one in enumerate(requests) if one.size == size}
        found = sampling.samples(asked).values()
        made += [Sample("", one.points) for one in found if hasattr(one, "points")]
    return domain.validate(made, requests)


def main() -> None:
    """Search, and print the best samplers as settings."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--per-length", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    domain = load_domain("protein")
    network = domain.load(given.model).eval()
    plan = Generate(lengths=(50, 60, 70, 80), per_length=given.per_length)
    stream = np.random.default_rng(given.seed)
    default = {"kind": "renoise", "steps": given.steps, "noise_scale": 0.45}
    tried = [default, *(drawn(stream, given.steps) for _ in range(given.trials))]
    scores = []
    for number, sampler in enumerate(tried):
        scores.append(judged(domain, network, sampler, plan, given.seed)["quality"])
        print(f"\r{number}/{given.trials}  best {max(scores):.3f}", end="", flush=True)
    best = np.argsort(scores)[::-1][:FINALISTS]
    print(f"\ndefault {scores[0]:.3f}; the best, on other samples than they were chosen by:")
    for place in [0, *best.tolist()]:
        again = judged(domain, network, tried[place], plan, given.seed + 1)
        said = "  ".join(f"{name} {value:.3f}" for name, value in again.items())
        print(f"chosen by {scores[place]:.3f}  {said}\n  {tried[place]}")


if __name__ == "__main__":
    main()
