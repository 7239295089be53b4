"""The steps, one folder each with the same face, and the rooms that they share.

A step imports `step`, `photo`, `estimator`, `registry`, `report` and `schemas`; never another step, never the pipeline.
"""
