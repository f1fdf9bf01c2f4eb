"""Point clouds in files, coordinates in metre: PLY, PCD and KITTI's scans."""

from domains.lidar.files.point_cloud import SUFFIXES, read_points, write_points

__all__ = ["SUFFIXES", "read_points", "write_points"]
