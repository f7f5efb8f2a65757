"""Numbers of runs, put in rows."""
