"""The contracts between the steps: the one place that names, reads and writes what passes between them.

Nothing here imports a component or the pipeline.
"""
