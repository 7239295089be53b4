"""Beam jobs of ingest and score: where they run, what their workers share, and how their errors come back."""

from components.beam_job.errors import errors_reach_driver
from components.beam_job.runners import pipeline, run
from components.beam_job.settings import BeamSettings, workers_here
from components.beam_job.staging import staging_place

__all__ = ["BeamSettings", "errors_reach_driver", "pipeline", "run", "staging_place", "workers_here"]
