"""Contract: a motif that is asked for reaches the model, the file and the measures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from protein.chains import native
from tiny_run import NETWORK, save_teacher

from domains.batch import Batch, Sample
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.protein.conditions.scaffold import (
    Motif,
    MotifSource,
    draw_motif,
    motif_tensors,
    with_motifs,
)
from domains.protein.data.dataset import load_domains
from domains.protein.denoiser import ProteinaDenoiser
from domains.protein.field import FIELD
from domains.protein.files.remarks import format_remarks, read_condition
from domains.protein.files.structure import write_pdb
from domains.protein.settings import (
    ProteinDistil,
    ProteinEvaluate,
    ProteinGenerate,
    ProteinPretrain,
    Scaffold,
)

FEATURES = ["motif_sequence_mask", "motif_x1"]
PAIRS = ["motif_structure_mask", "motif_x1_pair_dists"]


@pytest.fixture
def structure(tmp_path: Path) -> Path:
    write_pdb(tmp_path / "native.pdb", native())
    return tmp_path / "native.pdb"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ProteinaDenoiser:
    """A tiny motif model that went on from one without motifs."""
    earlier = FIELD.load(save_teacher(tmp_path_factory.mktemp("teacher")))
    network = {
        **NETWORK,
        "feats_init_seq": [*NETWORK["feats_init_seq"], *FEATURES],
        "feats_pair_repr": [*NETWORK["feats_pair_repr"], *PAIRS],
    }
    fit = {"steps": 1}
    grown = FIELD.new(ProteinPretrain.model_validate({"network": network, "fit": fit}), 0)
    FIELD.start(grown, earlier)
    assert isinstance(grown, ProteinaDenoiser) and grown.motif
    return grown


def plan(structure: Path, contig: str = "5-30/A10-15/5-30/A40-42/1-20") -> ProteinGenerate:
    scaffold = Scaffold(structure=str(structure), contig=contig)
    return ProteinGenerate(lengths=(40, 44), per_length=2, scaffold=scaffold)


def test_motifs_sit_where_the_contig_allows(structure: Path) -> None:
    source = MotifSource(plan(structure).scaffold)
    places = [source.place(40, str(key)).positions for key in range(20)]
    assert len(set(places)) > 10
    for positions in places:
        assert np.diff(positions)[:5].tolist() == [1] * 5 and 5 <= positions[0] <= 30
    motif = source.place(40, "0")
    wanted = native()[[*range(9, 15), *range(39, 42)]]
    # The file has three decimals of an angstrom.
    assert np.abs(motif.points - (wanted - wanted.mean(0))).max() < 1e-4
    assert source.place(40, "0").positions == motif.positions


def test_packed_domains_are_structures_too() -> None:
    name = load_domains().subset("test", 60, 60).ids[0]
    source = MotifSource(Scaffold(structure=f"cath:{name}", contig="10-40/A1-9/10-40"))
    expected = native()[:9]
    assert np.allclose(source.place(50, "0").points, expected - expected.mean(0))
    with pytest.raises(FewstepError, match="no packed domain"):
        MotifSource(Scaffold(structure="cath:none", contig="10/A1-9/10"))
    assert plan(Path("file.pdb")).files == ["file.pdb"] and not plan(Path(f"cath:{name}")).files


@pytest.mark.parametrize(
    ("contig", "said"),
    [
        ("10/B1-9/20", "no Cα of residue B1"),
        ("10/A58-66/20", "no Cα of residue A61"),
        ("10/A5-6/20", "too small"),
        ("1/A10-20/1", "no chain fits"),
    ],
)
def test_contigs_that_cannot_be(structure: Path, contig: str, said: str) -> None:
    with pytest.raises(FewstepError, match=said):
        MotifSource(Scaffold(structure=str(structure), contig=contig)).place(40, "0")


def test_random_motifs_are_parts_of_the_chain() -> None:
    chain, stream = native(), np.random.default_rng(0)
    motifs = [draw_motif(chain, stream) for _ in range(200)]
    sizes = [len(motif.positions) for motif in motifs]
    assert min(sizes) >= 3 and max(sizes) <= 31 and len(set(sizes)) > 15
    segments = [1 + int((np.diff(motif.positions) > 1).sum()) for motif in motifs]
    assert set(segments) == {1, 2, 3, 4}
    starts = [motif.positions[0] for motif in motifs]
    assert min(starts) == 0 and max(starts) > 20
    for motif in motifs:
        part = chain[list(motif.positions)]
        assert np.allclose(motif.points, part - part.mean(0))
    assert len(draw_motif(chain[:3], stream).positions) == 3


def test_a_training_batch_lies_in_its_motifs_frame() -> None:
    points = torch.from_numpy(np.stack([native(), native()]).astype(np.float32))
    mask = torch.ones(2, 60, dtype=torch.bool)
    mask[1, 50:] = False
    batch = with_motifs(Batch(mask=mask, points=points * mask[..., None]), Draws((0,)))
    inside = batch.condition["motif_mask"]
    assert not inside[1, 50:].any() and inside.any(1).all()
    assert batch.points is not None
    assert torch.allclose(batch.points[inside], batch.condition["x_motif"][inside], atol=1e-5)
    assert (batch.points[~mask] == 0).all()
    assert torch.equal(batch.condition["motif_pairs"], inside[:, :, None] & inside[:, None])


def test_remarks_come_back(tmp_path: Path) -> None:
    motif = Motif((3, 4, 9), np.array([[0.1, -2.25, 3.5], [0, 0, 0], [1, 1, -1]]))
    condition = {"cath_code": ("1.10.x.x",), "motif": motif}
    write_pdb(tmp_path / "a.pdb", native(), remarks=format_remarks(condition))
    found = read_condition(tmp_path / "a.pdb")
    assert found["cath_code"] == ("1.10.x.x",) and found["motif"].positions == motif.positions
    assert np.allclose(found["motif"].points, motif.points, atol=1e-4)
    text = (tmp_path / "a.pdb").read_text().replace("    4 ", "    x ", 1)
    (tmp_path / "b.pdb").write_text(text)
    with pytest.raises(FewstepError, match="damaged"):
        read_condition(tmp_path / "b.pdb")


def test_the_motif_reaches_model_and_file(
    structure: Path, model: ProteinaDenoiser, tmp_path: Path
) -> None:
    asked = FIELD.requests(plan(structure), range(4), model, seed=0)
    assert [one.size for one in asked] == [40, 44, 40, 44]
    batch = FIELD.blank(asked)
    assert batch.condition["motif_mask"].sum(1).tolist() == [9] * 4
    # A model that never saw motifs answers the same with and without until it is trained.
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(
                0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
            )
        noisy, time = torch.randn(batch.shape), torch.full((4,), 0.5)
        told = model(noisy, time, batch)
        moved = {**batch.condition, "x_motif": 2 * batch.condition["x_motif"]}
        other = model(noisy, time, Batch(mask=batch.mask, condition=moved))
    assert (told - other).abs().max() > 1e-4
    sample = Sample("s", torch.from_numpy(native()[:40]), asked[0].condition)
    names = FIELD.write(sample, tmp_path, {})
    assert FIELD.read(tmp_path / names[0]).condition["motif"].positions == tuple(
        asked[0].condition["motif"].positions
    )


def test_models_and_plans_have_to_agree(structure: Path, model: ProteinaDenoiser, teacher: Path):
    with pytest.raises(FewstepError, match="none is asked for"):
        FIELD.requests(ProteinGenerate(lengths=(40,)), [0], model, seed=0)
    with pytest.raises(FewstepError, match="not trained with motifs"):
        FIELD.requests(plan(structure), [0], FIELD.load(teacher), seed=0)


def test_teacher_and_student_train_with_motifs(model: ProteinaDenoiser) -> None:
    points = torch.from_numpy(native().astype(np.float32))[None]
    batch = Batch(mask=torch.ones(1, 60, dtype=torch.bool), points=points)
    loss = FIELD.teacher_loss(model, FIELD.process(model), batch, Draws((0,)))
    assert torch.isfinite(loss.value) and loss.diagnostics["motif"] > 0
    section = ProteinDistil.model_validate(
        {"lengths": {"low": 50, "high": 60}, "batch_size": 3, "fit": {"steps": 1}}
    )
    requests = FIELD.training_requests(section, model, Draws((0,)))
    assert all(max(one.condition["motif"].positions) < one.size for one in requests)
    assert motif_tensors([one.condition["motif"] for one in requests], FIELD.blank(requests).mask)
    with pytest.raises(FewstepError, match="real chains with the samples' motifs"):
        FIELD.examples(section, model)


def test_motifs_are_measured() -> None:
    chain = native()
    mask = np.zeros(60, dtype=bool)
    mask[10:20] = True
    kept = Motif.of(mask, chain[mask])
    turned = torch.from_numpy((chain @ np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])) + 3)
    lost = Motif.of(mask, chain[30:40])
    samples = [
        Sample("kept", turned, {"motif": kept}),
        Sample("lost", turned, {"motif": lost}),
        Sample("none", turned),
    ]
    cheap = ProteinEvaluate(proxy=False, novelty_shortlist=0, diversity=False)
    table = FIELD.evaluate(samples, cheap, 0, None).samples
    assert table["motif_rmsd_nm"][0] < 1e-6 and table["motif_rmsd_nm"][1] > 0.05
    assert table["motif_kept"].tolist()[:1] == [1] and np.isnan(table["motif_kept"][2])
