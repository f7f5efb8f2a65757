"""Experiments: the papers' figures and tables as generators of records."""
