"""The three networks of LiDiff, compatible with its checkpoints (Nunes et al. 2024)."""

from domains.lidar.network.config import NetworkConfig
from domains.lidar.network.encoder import Condition, ConditionEncoder
from domains.lidar.network.noise import NoisePredictor
from domains.lidar.network.refinement import Refinement

__all__ = ["Condition", "ConditionEncoder", "NetworkConfig", "NoisePredictor", "Refinement"]
