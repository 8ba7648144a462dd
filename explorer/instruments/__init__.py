"""Looks at a running network that no engine knows of; the table is in explorer.core.instruments."""
