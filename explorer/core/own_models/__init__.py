"""A person's own network as an engine."""
