"""Smaller networks: pruned channels are found, and taken out."""
