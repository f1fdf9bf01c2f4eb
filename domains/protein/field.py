"""Protein backbones as a field of the engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from domains.batch import Batch, Request, Sample, picked
from domains.distillation.denoiser import Denoiser, Unconditional
from domains.distillation.process import FlowMatching, NoiseProcess
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.evaluation.screening.gate import Gate
from domains.evaluation.statistics.measured import Measured
from domains.field import Field
from domains.files.model_files import write_model
from domains.protein.checkpoint.model_source import read_source
from domains.protein.conditions.asked_folds import asked_folds, fold_choices
from domains.protein.conditions.blank import blank_chains
from domains.protein.conditions.folds import MatchedDomains, condition_of, mapping_of, overriding
from domains.protein.conditions.scaffold import check_motifs, draw_motif
from domains.protein.data import natives
from domains.protein.data.dataset import CathDomains, load_domains
from domains.protein.data.token_batches import TokenBatches, rotated
from domains.protein.denoiser import ProteinaDenoiser
from domains.protein.evaluation import measure, quick
from domains.protein.files.samples import adopt_sample, read_sample, write_sample
from domains.protein.gallery import gallery
from domains.protein.ideal_bonds import with_ideal_bonds
from domains.protein.losses.flow_loss import proteina_loss
from domains.protein.losses.held_out import HeldOutFlow
from domains.protein.losses.preference import ByCrossNLL, by_quality
from domains.protein.losses.structure_errors import structure_errors
from domains.protein.metrics.designability.proxy import load_proxy
from domains.protein.metrics.nearness import Nearness, matched, nearness_to
from domains.protein.metrics.references import write_descriptors
from domains.protein.network import NetworkConfig, Proteina
from domains.protein.network.grow import grow
from domains.protein.pictures import write_chains
from domains.protein.screening.distinct import GreedyDistinct
from domains.protein.screening.gates import gates_of
from domains.protein.settings import (
    Lengths,
    ProteinData,
    ProteinDistil,
    ProteinEvaluate,
    ProteinGenerate,
    ProteinPretrain,
    ProteinRun,
    Told,
)

__all__ = ["FIELD", "ProteinField"]


class ProteinField(Field[ProteinaDenoiser]):
    """Teacher, data, files and measures of protein backbones (see ``Field``)."""

    name = "protein"

    def __init__(self, data: ProteinData | None = None, described: Path | None = None):
        self.data, self._described = data or ProteinData(), described
        self._sources: dict[tuple[Lengths, Told | None], MatchedDomains] = {}

    def with_data(self, data: ProteinData) -> "ProteinField":
        """Return this field with the packed domains of ``data``."""
        return ProteinField(data)

    def prepare(self, source: Path, output: Path, options: Mapping[str, Any]) -> None:
        """Turn a public Proteina checkpoint, or a canonical directory, into canonical form."""
        weights, config = read_source(source, options)
        write_model(output, weights, config, half=bool(options.get("half")))

    def load(self, directory: Path) -> ProteinaDenoiser:
        """Return the denoiser stored in ``directory``."""
        return ProteinaDenoiser.load(directory)

    def save(self, denoiser: ProteinaDenoiser, directory: Path, **provenance: Any) -> None:
        """Write a denoiser in canonical form."""
        denoiser.save(directory, **provenance)

    def new(self, config: ProteinPretrain, seed: int) -> ProteinaDenoiser:
        """Return an untrained denoiser that knows the fold classes of its data."""
        network = NetworkConfig.parse(config.network, "pretrain.network")
        told = "fold_emb" in network.feats_cond_seq
        known = self._training_data(config.lengths) if told else None
        return ProteinaDenoiser.untrained(network, mapping_of(known), seed)

    def recompute(self, denoiser: ProteinaDenoiser) -> None:
        """Keep each trunk layer's inputs only."""
        denoiser.network.recompute = True

    def shrink(self, denoiser: ProteinaDenoiser, layers: int) -> ProteinaDenoiser:
        """Return a denoiser of so many of another's layers."""
        return denoiser.shrunk(layers)

    def start(self, denoiser: ProteinaDenoiser, earlier: ProteinaDenoiser) -> None:
        """Go on from ``earlier``, whose features may be fewer; without labels, keep its classes."""
        if not any(denoiser.network.fold_classes):
            config, classes = denoiser.network.config, earlier.network.fold_classes
            denoiser.network, denoiser.mapping = Proteina(config, classes), earlier.mapping
        grow(denoiser.network, earlier.network)

    def process(self, denoiser: ProteinaDenoiser) -> NoiseProcess:
        """Return Proteina's flow; motif models live in the motif's frame, uncentred."""
        return FlowMatching("none" if denoiser.motif else "masked")

    def training_batches(self, config: ProteinPretrain, seed: int) -> Callable[[int, Draws], Batch]:
        """Return batches of rotated domains, of similar lengths, by number."""
        batches = TokenBatches(self._training_data(config.lengths), config.residues_per_batch, seed)
        return lambda index, _: batches.batch(index)

    def held_out_error(
        self, config: ProteinPretrain, seed: int
    ) -> Callable[[ProteinaDenoiser], dict[str, float]]:
        """Return a function that computes the training loss on validation domains."""
        return HeldOutFlow(load_domains(self.data.path), self.process, config, seed)

    def _training_data(self, lengths: Lengths | None = None) -> CathDomains:
        bounds = (lengths.low, lengths.high) if lengths else ()
        return load_domains(self.data.path).subset("train", *bounds)

    def requests(
        self, plan: ProteinGenerate, numbers: Sequence[int], denoiser: ProteinaDenoiser, seed: int
    ) -> list[Request | FewstepError]:
        """Request chains with the plan's lengths, fold classes and motifs."""
        folds = asked_folds(plan, numbers, denoiser, seed, self._training_data)
        source, requests = check_motifs(denoiser.motif, plan.scaffold, self.data.path), []
        for number, condition in zip(numbers, folds, strict=True):
            size = plan.size(number)
            if source:
                condition["motif"] = source.place(size, f"{seed} {number}")
            requests.append(Request(f"sample_{number:07d}", size, condition))
        return requests

    def training_requests(
        self, section: ProteinDistil, denoiser: ProteinaDenoiser, draws: Draws
    ) -> list[Request]:
        """Request chains of random lengths, with fold classes if the section says so."""
        lengths, count = section.lengths, section.batch_size
        drawn = draws.integer("block", lengths.high - lengths.low + 1)
        low, high = lengths.block_at(lengths.low + drawn)
        sizes = [low + draws.integer(f"size {k}", high - low + 1) for k in range(count)]
        return self._requests_of(section, denoiser, sizes, fold_choices(draws, count))

    def _requests_of(
        self,
        section: ProteinDistil,
        denoiser: ProteinaDenoiser,
        sizes: Sequence[int],
        choices: Sequence[int],
    ) -> list[Request]:
        """Request chains, with fold class and motif of a domain of their length if configured."""
        if section.fold is None and not denoiser.motif:
            return [Request(str(k), size) for k, size in enumerate(sizes)]
        source, requests = self._matched(section, denoiser), []
        for k, (size, choice) in enumerate(zip(sizes, choices, strict=True)):
            condition = condition_of(source.label(size, choice))
            if denoiser.motif:
                domain = np.array(source.domains.points(source.index(size, choice)), dtype=float)
                condition["motif"] = draw_motif(domain[:size], np.random.default_rng(choice))
            requests.append(Request(str(k), size, condition))
        return requests

    def _matched(self, section: ProteinDistil, denoiser: ProteinaDenoiser) -> MatchedDomains:
        key = (section.lengths, section.fold)
        if key not in self._sources:
            domains = self._training_data(section.lengths)
            self._sources[key] = MatchedDomains(domains, denoiser.mapping, section.fold)
        return self._sources[key]

    def examples(
        self, section: ProteinDistil, denoiser: ProteinaDenoiser
    ) -> Callable[[Draws], Batch]:
        """Return training domains, rotated: of the lengths and with the classes of the samples.

        Else a discriminator would tell real data by these.
        """
        if denoiser.motif:
            raise FewstepError(
                "a discriminator would need real chains with the samples' motifs",
                do="Take an objective without examples for a motif model",
            )
        source = self._matched(section, denoiser)

        def draw(draws: Draws) -> Batch:
            requests = self.training_requests(section, denoiser, draws)
            choices = fold_choices(draws, len(requests))
            pairs = [(one.size, choice) for one, choice in zip(requests, choices, strict=True)]
            members = np.array([source.index(*pair) for pair in pairs])
            stream = np.random.default_rng(draws.integer("rotation", 1 << 40))
            batch = rotated(source.domains, members, stream)
            return replace(batch, condition=self.blank(requests).condition)

        return draw

    def judge(
        self, denoiser: ProteinaDenoiser, noisy: torch.Tensor, time: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return clean estimate and logits of each residue (see ``Prediction``)."""
        prediction = denoiser.predict(noisy, time, batch)
        return prediction.coors_pred, prediction.logits

    def overriding(
        self, denoiser: ProteinaDenoiser, forget: str, instead: str | None
    ) -> Callable[[Batch], tuple[torch.Tensor, Batch]]:
        """Build a function that flags samples of class ``forget`` and relabels them."""
        return overriding(denoiser.mapping, forget, instead)

    def validation_requests(
        self, section: ProteinDistil, denoiser: ProteinaDenoiser
    ) -> list[Request]:
        """Request chains of evenly spread lengths, conditioned as in training."""
        low, high, count = section.lengths.low, section.lengths.high, section.validation_samples
        sizes = [low + (high - low) * k // max(1, count - 1) for k in range(count)]
        return self._requests_of(section, denoiser, sizes, [7919 * k + 1 for k in range(count)])

    def blank(self, requests: Sequence[Request]) -> Batch:
        """Return a mask of chains of these lengths, and their fold classes and motifs if given."""
        return blank_chains(requests)

    def unconditional(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser without fold classes."""
        return Unconditional(denoiser, ("cath_code",))

    def finish(
        self, denoiser: ProteinaDenoiser, points: torch.Tensor, request: Request, refine: bool
    ) -> torch.Tensor:
        """Return a chain as it is written; refined, its bonds are ideal."""
        return with_ideal_bonds(points.cpu()) if refine else points.cpu()

    def preference(
        self, kind: str = "quick", tools: Path | None = None
    ) -> Callable[[torch.Tensor, Batch], torch.Tensor]:
        """Return the quick quality of chains, or how well a designed sequence fits them."""
        return by_quality if kind == "quick" else ByCrossNLL(load_proxy(tools))

    def nearness(self, requests: Sequence[Request], seed: int, tools: Path | None) -> Nearness:
        """Compare samples with training domains in composition and cross NLL."""
        known = matched(self._training_data(), requests, seed)
        return nearness_to(known, load_proxy(tools, count=2))

    def gates(self, run: ProteinRun, tools: Path | None) -> list[Gate]:
        """Return the gates of the run's screen that judge samples by themselves."""
        return gates_of(run, self._training_data, tools)

    def distinct(self, run: ProteinRun) -> GreedyDistinct | None:
        """Return the gate that compares samples with those kept, if the run has one."""
        return GreedyDistinct.of(run.screen)

    def write(self, sample: Sample, directory: Path, options: Mapping[str, Any]) -> list[str]:
        """Write a PDB file, and mmCIF beside it on request."""
        return write_sample(sample, directory, options.get("formats", ()))

    def read(self, path: Path) -> Sample:
        """Read a PDB file that ``write`` has written."""
        return read_sample(path)

    def gallery(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """Draw chains and their maps of distances."""
        return gallery(samples)

    draw = staticmethod(write_chains)
    structure = staticmethod(structure_errors)
    adopt = staticmethod(adopt_sample)
    teacher_loss = staticmethod(proteina_loss)

    def held_out(
        self, plan: ProteinGenerate, numbers: Sequence[int], seed: int
    ) -> dict[int, Sample]:
        """Return test domains, of each sample's fold class and nearest length not yet taken."""
        return picked(natives.held_out(load_domains(self.data.path), plan, seed), numbers)

    def decoys(self, plan: ProteinGenerate, numbers: Sequence[int], seed: int) -> dict[int, Sample]:
        """Return wrong chains made from held-out domains, six kinds in turn."""
        return picked(natives.decoys(load_domains(self.data.path), plan, seed), numbers)

    def validate(self, samples: Sequence[Sample], requests: Sequence[Request]) -> dict[str, float]:
        """Return quick measures; ``quality`` is a proxy (see ``evaluation.quick``)."""
        return quick(samples)

    def evaluate(
        self, samples: Sequence[Sample], config: ProteinEvaluate, seed: int, tools: Path | None
    ) -> Measured:
        """Measure samples; known structures are of the run's data."""
        return measure(samples, config, seed, tools, self.data.path, self._described)

    def describe(self, output: Path, smallest: int, largest: int) -> None:
        """Write descriptors of the training domains of these sizes."""
        write_descriptors(output, self.data.path, smallest, largest)

    def with_described(self, path: Path) -> "ProteinField":
        """Return this field with what ``describe`` wrote."""
        return ProteinField(self.data, path)


FIELD = ProteinField()
