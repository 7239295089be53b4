"""The steps, one folder each with the same face, and what they share.

A step imports `step`, `settings`, `photo`, `registry`, `estimator` and `schemas`; never another step, never the pipeline.
"""
