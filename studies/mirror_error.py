"""Does a teacher know left from right? Its denoising error on natives and on their mirror images.

A ratio of 1 at all times means that the network is blind to handedness, so half of the
helices it makes turn left. Run: ``python -m studies.mirror_error [MODEL_DIRECTORY]``.
"""

import sys
from pathlib import Path

import torch

from domains.batch import Batch
from domains.config import located
from domains.distillation.noise import generator
from domains.field import load_field
from domains.protein.data.dataset import load_domains
from domains.protein.data.token_batches import TokenBatches

TIMES = (0.5, 0.7, 0.8, 0.9, 0.95)
SHORTEST, LONGEST = 40, 80


@torch.no_grad()
def rms_error(model: Path, time: float, sign: float) -> float:
    """Return the root mean square error (nm) on validation domains, mirrored if sign is −1.

    Noise is mirrored along with the chain, so an achiral network errs equally.
    """
    field = load_field("protein")
    network = field.load(model).eval()
    process, mirror = field.process(network), torch.tensor([1.0, 1.0, sign])
    batches = TokenBatches(load_domains().subset("val", SHORTEST, LONGEST), 1000)
    total, count = 0.0, 0
    for index in range(batches.per_epoch):
        data = batches.batch(index)
        batch = Batch(mask=data.mask)
        assert data.points is not None
        clean = process.target(data.points * mirror, batch)
        noise = torch.randn(batch.shape, generator=generator("mirror", index, str(time)))
        t = torch.full((clean.shape[0],), time)
        estimate = network(process.perturb(clean, noise * mirror, t, batch), t, batch)
        total += float((((estimate - clean) ** 2).sum(-1) * batch.mask).sum())
        count += 3 * int(batch.mask.sum())
    return (total / count) ** 0.5


def main() -> None:
    """Print the two errors and their ratio for each time."""
    model = located(sys.argv[1] if len(sys.argv) > 1 else "proteina-small")
    print("time  native (nm)  mirrored (nm)  ratio")
    for time in TIMES:
        native, mirrored = (rms_error(model, time, sign) for sign in (1.0, -1.0))
        print(f"{time:4.2f}  {native:11.5f}  {mirrored:13.5f}  {mirrored / native:.4f}")


if __name__ == "__main__":
    main()
