"""Recurrent memories."""
