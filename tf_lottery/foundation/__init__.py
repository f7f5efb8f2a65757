"""Numbers, names and files: what everything else stands on."""
