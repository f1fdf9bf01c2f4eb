"""LiDAR scene completion: LiDiff teachers, coordinates in metre."""
