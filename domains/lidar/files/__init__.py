"""Point clouds in files, coordinates in metre: PLY, PCD and KITTI's scans."""

from domains.lidar.files.point_cloud import (
    Scan,
    read_points,
    read_scan,
    read_whole,
    write_points,
)

__all__ = ["Scan", "read_points", "read_scan", "read_whole", "write_points"]
