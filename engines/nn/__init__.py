"""Blocks that several engines share."""
