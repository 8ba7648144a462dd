"""Running an engine, reading untrusted input, loading weights, exporting: everything without Qt."""
