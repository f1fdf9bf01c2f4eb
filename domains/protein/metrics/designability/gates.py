"""Limits of the designability proxy; without torch, so that settings can name them."""

from dataclasses import dataclass

__all__ = ["Gates"]


@dataclass(frozen=True)
class Gates:
    """Limits that a sample must keep; derived by ``studies/derive_proxy.py``.

    Args:
        cross_nll: Largest cross NLL, nat per residue; fitted on 40-96 residues.
        bond_fraction: Smallest share of Cα steps in 0.36-0.40 nm.
        clashes: Largest number of Cα pairs closer than 0.3 nm; real domains have none.
        rg_ratio: Largest Rg over that of a compact fold of the same length.
        right_handed: Smallest right-handed share of helix windows; a chain without passes.
    """

    cross_nll: float = 1.47
    bond_fraction: float = 0.95
    clashes: float = 0
    rg_ratio: float = 1.6
    right_handed: float = 0.9

    def judge(self, row: dict[str, float]) -> dict[str, bool]:
        """Return one ``gate_<name>`` per limit; a NaN never passes, but for no helix at all."""
        return {
            "gate_cross_nll": row["cross_nll"] <= self.cross_nll,
            "gate_bond_fraction": row["bond_fraction"] >= self.bond_fraction,
            "gate_clashes": row["clashes"] <= self.clashes,
            "gate_rg_ratio": row["rg_ratio"] <= self.rg_ratio,
            "gate_right_handed": row["helix_windows"] == 0
            or row["right_handed"] >= self.right_handed,
        }
