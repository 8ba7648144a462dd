"""Classifiers and backbones."""
