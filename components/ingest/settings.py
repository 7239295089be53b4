"""Settings of the ingest step."""

from pydantic import Field

from components.beam_job import BeamSettings
from components.ingest.labels import FilterSettings, SplitSettings
from components.ingest.sources.settings import SourceSettings
from components.photo import PhotoSettings
from components.step.settings import Section, external_path


class IngestSettings(Section):
    """Which rows become examples, and how these are stored."""

    filter: FilterSettings = Field(FilterSettings(), description="which rows are kept")
    split: SplitSettings = Field(SplitSettings(), description="how persons are dealt out to the splits")
    exclude: tuple[str, ...] = Field(
        (), description="persons and paths to leave out by name; `*` stands for anything, as in `imdb:17*`"
    )
    exclude_list: str = external_path(
        "",
        "Parquet or CSV file whose column `path` names photos to leave out, such as label_check.parquet of the evaluate step, of "
        "which the rows count that are likely to be wrong",
    )
    age_tolerance: int = Field(
        0, ge=0, description="years by which the ages of one picture may differ; beyond it all its rows are rejected"
    )
    shard_mb: float = Field(32, gt=0, le=4096, description="size that the shards are meant to have, MB")


class Settings(Section):
    """The sections of a recipe that ingest reads."""

    source: SourceSettings = Field(SourceSettings(), description="which data set, and where it lies")
    photo: PhotoSettings = Field(PhotoSettings(), description="how faces are taken from photos")
    ingest: IngestSettings = Field(IngestSettings(), description="which rows become examples, and how they are stored")
    beam: BeamSettings = Field(BeamSettings(), description="where the Beam job runs")
