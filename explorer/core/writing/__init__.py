"""Artefacts as pictures, drawings, films and records; `export` puts them in a folder."""
