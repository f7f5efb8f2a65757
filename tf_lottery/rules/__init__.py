"""The equation between two trainings, in numpy."""
