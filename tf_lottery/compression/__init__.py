"""What one does to a model of one's own."""
