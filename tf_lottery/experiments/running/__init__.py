"""Plans carried out, or only counted."""
