"""Untrusted pictures, clips and cameras, as far as `media` lets them."""
