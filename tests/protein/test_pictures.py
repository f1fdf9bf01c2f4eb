"""Contract: chains are drawn whole, from blue to red, not mirrored, however they lie in space."""

import numpy as np
import pytest

from domains.protein.pictures import _placed, draw_chains


def helix(count: int = 40) -> np.ndarray:
    """A right-handed helix along x, one turn in ten residues."""
    angle = np.arange(count) * 2 * np.pi / 10
    return np.stack([0.3 * np.arange(count), np.cos(angle), np.sin(angle)], 1)


def test_each_chain_has_its_cell() -> None:
    chains = [helix(n) for n in (12, 20, 30, 40, 50, 60)]
    sheet = np.asarray(draw_chains(chains))
    assert sheet.shape == (480, 1200, 3)
    cells = [
        sheet[240 * r : 240 * r + 240, 240 * c : 240 * c + 240] for r in (0, 1) for c in range(5)
    ]
    drawn = [(cell != 255).any(-1).mean() for cell in cells]
    assert all(share > 0.01 for share in drawn[:6]) and not any(drawn[6:])
    assert np.asarray(draw_chains(chains[:1])).shape == (240, 240, 3)


def test_the_first_residue_is_blue_and_the_last_red() -> None:
    line = np.outer(np.arange(30.0), [1.0, 0.2, 0.0]) + 1e-3 * np.eye(3)[np.arange(30) % 3]
    sheet = np.asarray(draw_chains([line])).astype(int)
    marks = np.argwhere((sheet != 255).any(-1))
    columns = marks[:, 1]
    near = columns < columns.min() + 8, columns > columns.max() - 8
    ends = [sheet[tuple(marks[end].T)].mean(0) for end in near]
    blue, red = sorted(ends, key=lambda colour: colour[0] - colour[2])
    assert blue[2] > blue[0] and red[0] > red[2]


@pytest.mark.parametrize("seed", range(4))
def test_a_chain_is_turned_and_not_mirrored(seed: int) -> None:
    """Right-handed in space is right-handed in (across, up, towards the reader)."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    chain = helix() * [2.0, 1.0, 1.0]
    places, near = _placed(chain @ turn.T + rng.standard_normal(3))
    drawn = np.column_stack([places[:, 0], -places[:, 1], near])
    steps = np.diff(drawn, axis=0)
    handedness = np.einsum("ni,ni->n", np.cross(steps[:-2], steps[1:-1]), steps[2:])
    assert (handedness > 0).mean() > 0.9
    assert np.abs(places).max() <= 0.5 + 1e-9 and near.min() == 0 and near.max() == 1


def test_chains_without_extent_are_drawn() -> None:
    assert np.isfinite(np.asarray(draw_chains([np.zeros((3, 3))]))).all()
