"""The report's labels and explanations of the measures of protein backbones."""

from domains.evaluation.statistics.sets import Metric
from domains.protein.evaluate_settings import DESCRIPTORS
from domains.protein.settings import FOLD_REFERENCES

__all__ = ["METRICS"]

_LEVELS = {"c": "class", "a": "architecture", "t": "topology"}


def _classified() -> dict[str, Metric]:
    """Return the metrics of the fold classifier, per reference set and CATH level."""
    found = {}
    for name in FOLD_REFERENCES:
        found[f"fpsd_{name}"] = Metric(
            f"FPSD to {name.upper()}",
            "Fréchet distance of a fold classifier's features to the reference set's.",
            "lower",
        )
    for level, said in _LEVELS.items():
        found[f"fs_{level}"] = Metric(
            f"Fold score, {said}",
            f"How sharp and how many the CATH {said} predictions are (fS).",
            "higher",
            diversity=True,
        )
    for name in FOLD_REFERENCES:
        for level, said in _LEVELS.items():
            found[f"fjsd_{level}_{name}"] = Metric(
                f"fJSD × 10 to {name.upper()}, {said}",
                f"How differently often each CATH {said} is met than in the reference set.",
                "lower",
            )
    return found


# Most important first: the first one with a direction decides the report's headline.
METRICS = {
    "designability": Metric(
        "Designability", "Best scRMSD of 8 ProteinMPNN designs under 2 Å (ESMFold).", "higher"
    ),
    "designability_proxy": Metric(
        "Designability proxy",
        "Share that passes all gates of the proxy: cross NLL of ProteinMPNN designs, bonds,"
        " clashes, size, handedness. No structure prediction: not designability.",
        "higher",
        same_within=0.05,
    ),
    "cross_nll": Metric(
        "Cross NLL (nat)",
        "How surprised one ProteinMPNN is by the sequences that another designed.",
        "lower",
        same_within=0.02,
    ),
    "relative_cross_nll": Metric(
        "Relative cross NLL, a proxy",
        "Cross NLL at equal composition: 0 as natives, 1 as compact wrong folds of the same helix,"
        " strand and length. Bundles of helices win nothing by being helices. No structure"
        " prediction: not designability.",
        "lower",
    ),
    "nativeness_proxy": Metric(
        "Nativeness proxy",
        "Chance that the packing (strand pairing, contact order, burial, tight places) is a"
        " native's and not a decoy's of the same helix, strand and length. No structure"
        " prediction: not designability.",
        "higher",
    ),
    "bond_fraction": Metric(
        "Bonds in range", "Share of Cα–Cα steps between 3.6 and 4.0 Å.", "higher"
    ),
    "clashes": Metric("Clashes", "Non-adjacent Cα pairs closer than 3 Å, per chain.", "lower"),
    "right_handed": Metric(
        "Right-handed helices", "Share of helical windows that turn right.", "higher"
    ),
    "asked_class": Metric(
        "Asked class (by content)",
        "Share whose helix and strand content is that of the CATH class asked for.",
        "higher",
    ),
    "asked_fold": Metric(
        "Asked fold (by search)",
        "Share whose most similar training domain is of the fold class asked for.",
        "higher",
    ),
    "motif_rmsd_nm": Metric(
        "Motif RMSD (nm)", "How far motif residues are from where they should be.", "lower"
    ),
    "motif_kept": Metric("Motif kept", "Share with a motif RMSD under 1 Å.", "higher"),
    "scaffold_proxy": Metric(
        "Scaffold proxy",
        "Share that keeps its motif and passes the designability proxy. No structure prediction:"
        " not the field's success rate.",
        "higher",
    ),
    "helix": Metric("Helix", "Share of residues in helices (P-SEA, from Cα).", same_within=0.03),
    "strand": Metric("Strand", "Share of residues in strands (P-SEA, from Cα).", same_within=0.03),
    "helix_gap": Metric(
        "Helix, distance to data",
        "Absolute difference of the mean helix share to natives.",
        "lower",
    ),
    "strand_gap": Metric(
        "Strand, distance to data",
        "Absolute difference of the mean strand share to natives.",
        "lower",
    ),
    "sse_energy_distance": Metric(
        "Helix and strand, energy distance",
        "Distance of the joint distribution of helix and strand shares to natives' (energy"
        " distance). 0: the same mixture of folds' contents; a little below it by chance.",
        "lower",
    ),
    "rg_ratio": Metric(
        "Size ratio", "Radius of gyration over that of a globule of its length.", "none"
    ),
    "pairwise_tm": Metric(
        "Pairwise TM",
        "Mean TM-score of samples of one length: lower is more diverse.",
        "lower",
        diversity=True,
    ),
    "cluster_share": Metric(
        "Clusters / samples",
        "Clusters at TM > 0.5 per sample: higher is more diverse.",
        "higher",
        diversity=True,
    ),
    "novelty_tm": Metric(
        "Nearest known fold (TM)",
        "Highest TM to a training domain, or to the database that the tool names.",
        "lower",
    ),
    "descriptor_frechet": Metric(
        "Descriptor Fréchet distance",
        "Distance of six plain descriptors' distribution to natives': content, size, shape,"
        " contacts. No fold classifier: not FPSD.",
        "lower",
    ),
    "descriptors_to_teacher": Metric(
        "Descriptors, distance to the teacher",
        "Energy distance of the six descriptors to the teacher's samples, in units of their spread."
        " 0: the same distribution; a little below it by chance. A copy of the teacher is near it.",
        columns=DESCRIPTORS,
    ),
    "sse_class_jsd": Metric(
        "Class JSD (by content)",
        "How differently often the CATH classes are met than in natives (0 to 0.69), told by"
        " helix and strand content. No fold classifier: not fJSD.",
        "lower",
    ),
    **_classified(),
    "sc_rmsd_nm": Metric("scRMSD (nm)", "Smallest distance of a refolded design.", "lower"),
    "sc_tm": Metric("scTM", "Largest TM of a refolded design.", "higher"),
    "plddt": Metric("pLDDT", "Confidence of the refolded design.", "higher"),
    "finite": Metric("Finite", "Share of samples whose coordinates are finite numbers."),
    "exploded": Metric(
        "Exploded",
        "Share of chains with two consecutive Cα more than 5 nm apart; they are left out of"
        " alignments.",
    ),
    "seconds": Metric("Seconds / sample", "Wall-clock time of sampling, model loaded.", "lower"),
    "network_calls": Metric("Network calls", "Network evaluations per sample.", "lower"),
    "memory_gb": Metric("Memory, GB", "Most that a shard's process held, or its GPU.", "lower"),
}
