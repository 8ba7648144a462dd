"""Rows of the catalogue, a file for each family of systems; plain data that imports nothing.

The fields are explained in `engines`.
"""
