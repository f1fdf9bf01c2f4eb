"""The Proteina Cα network: same weights, same numbers, less work."""

from domains.protein.network.config import NetworkConfig
from domains.protein.network.proteina import Proteina

__all__ = ["NetworkConfig", "Proteina"]
