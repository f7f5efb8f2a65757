"""Architectures of the papers, one file a family."""
