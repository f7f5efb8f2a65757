"""What the papers claim, a file a paper."""
