"""What is learned, and the networks that learn it."""
