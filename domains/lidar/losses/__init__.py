"""Losses of LiDAR networks and completions."""
