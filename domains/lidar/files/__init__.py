"""Point clouds in files, coordinates in metre: PLY, PCD and KITTI's scans."""

from domains.lidar.files.point_cloud import read_points, write_points

__all__ = ["read_points", "write_points"]
