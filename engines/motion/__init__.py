"""Poses of people, and making one move like another."""
