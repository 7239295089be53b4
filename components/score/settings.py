"""Settings of the score step."""

from typing import Literal

from pydantic import Field

from components.beam_job import BeamSettings
from components.step.settings import Section, external_path, runtime_only
from components.storage.settings import NamesEncoding, names_encoding


class ScoreSettings(Section):
    """What is scored, with which model, and how faces are found."""

    photos: tuple[str, ...] = external_path(
        (),
        "photos to score, any mix of: a folder, a glob pattern, a zip or tar (also .gz, .bz2, .xz), a .txt, .csv or .parquet "
        "list of paths, a single photo; local or as s3://, gs://, az://. Empty: nothing is scored",
    )
    names_encoding: NamesEncoding = names_encoding()
    model: str = Field("", description="NAME@ALIAS or NAME/VERSION; empty: the version that the register step names")
    faces: Literal["whole", "detect"] = Field(
        "detect", description="whole: every picture is one cropped face; detect: faces are looked for"
    )
    detector: Literal["fast", "thorough"] = Field(
        "fast",
        description="thorough: finds smaller faces and faces that the edge cuts in half too, five times slower",
    )
    min_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="a detected face that is less certain is left out; null: 0.7 if fast, 0.7 to 0.9 if thorough, by where and "
        "how large it is",
    )
    batch: int = runtime_only(64, "faces that go through the model at once", ge=1, le=4096)
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="bfloat16: half as fast again on processors with arithmetic for it (avx512_bf16, amx_bf16), slower on "
        "others; moves ages by some hundredths of a year on average. auto: bfloat16 where the machine that starts the job has "
        "such a processor, else float32; once for the whole job",
    )
    pictures: int = Field(12, ge=0, le=200, description="scored photos that the summary page shows")
    drift_age: float = Field(
        0.1, ge=0, le=1, description="Jensen-Shannon divergence of ages to the training data that is warned of"
    )
    drift_gender: float = Field(
        0.1, ge=0, le=1, description="difference of a gender's share to the training data that is warned of"
    )

    @property
    def looks_with(self) -> str | None:
        """The detector that is used; None where every picture is a face."""
        return self.detector if self.faces == "detect" else None


class Settings(Section):
    """Sections of the recipe that the step reads; how faces are cropped comes with the model."""

    score: ScoreSettings = ScoreSettings()
    beam: BeamSettings = BeamSettings()
