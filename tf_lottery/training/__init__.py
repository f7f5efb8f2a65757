"""From a recipe, a ticket and a seed to a result."""
