"""Contract: a checkpoint file, read without its libraries, computes what it computed there."""

from pathlib import Path

import torch
from protein.network.golden_files import arrays, assert_close, golden_networks

from domains.batch import Batch
from domains.protein.checkpoint.proteina import read_checkpoint
from domains.protein.denoiser import ProteinaDenoiser

# The labels that the expected outputs were made with.
CODES = [["1.10.10.x"], ["x.x.x.x"]]
PLAIN, ADAPTED = 1e-5, 3e-5  # merging an adapter rounds once more


def built(path: Path, golden: Path) -> ProteinaDenoiser:
    checkpoint = read_checkpoint(path)
    config = {
        "network": checkpoint.network,
        "target": checkpoint.target,
        "motif": checkpoint.motif,
        "cath_mapping": golden_networks(golden)[0].meta["cath_label_mapping"],
    }
    return ProteinaDenoiser.build(checkpoint.weights, config, path.name).eval()


def test_checkpoints_compute_the_expected_outputs(golden: Path):
    directory = golden / "protein/ckpt"
    files = sorted(directory.glob("expected_*.npz"))
    assert files
    for file in files:
        adapted = "lora" in file.stem
        prefix = "lora_chk_" if adapted else "chk_"
        [path] = directory.glob(f"{prefix}*{file.stem.rpartition('_')[2]}.ckpt")
        given, denoiser = arrays(file), built(path, golden)
        batch = Batch(mask=given["mask"], condition={"cath_code": CODES[: len(given["t"])]})
        with torch.no_grad():
            clean = denoiser(given["x_t"], given["t"], batch)
        tolerance = ADAPTED if adapted else PLAIN
        real = given["mask"]
        assert_close(clean[real], given["x_1_pred"][real], tolerance, path.name)
        velocity = (clean - given["x_t"]) / (1 - given["t"])[:, None, None]
        assert_close(velocity[real], given["coors_pred"][real], tolerance, path.name)
