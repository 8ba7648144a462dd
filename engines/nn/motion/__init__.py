"""Poses, and what makes one person dance as another."""
