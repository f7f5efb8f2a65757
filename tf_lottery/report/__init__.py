"""Reports: tables, figures and a page from a run's folder.

Nothing here imports TensorFlow, so a page is built in seconds, on any machine.
"""
