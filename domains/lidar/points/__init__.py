"""A network of points and their neighbours: each noisy point sees the scan, none sees another."""

from domains.lidar.points.config import PointConfig
from domains.lidar.points.encoder import Level, Levels, ScanEncoder
from domains.lidar.points.predictor import PointPredictor

__all__ = ["Level", "Levels", "PointConfig", "PointPredictor", "ScanEncoder"]
