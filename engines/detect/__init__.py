"""Detectors: boxes, masks and keypoints, and where they came from."""
