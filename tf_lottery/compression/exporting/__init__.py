"""Pruned models as files, and what was gained by pruning, measured."""
