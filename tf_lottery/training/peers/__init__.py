"""Other people's pruning, to hold beside the tickets."""
