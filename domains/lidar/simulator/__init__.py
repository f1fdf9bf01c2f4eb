"""Simulated streets, scanned as KITTI's car does, in SemanticKITTI's layout."""
