"""How faces are taken from photos, and what is said of a photo that cannot be used."""

from typing import Literal

from pydantic import Field

from components.step.settings import Section


class PhotoSettings(Section):
    """How faces are taken from photos."""

    size: int = Field(
        128, ge=16, le=1024, description="largest side of a stored face, pixels; smaller ones are not blown up"
    )
    margin: float = Field(
        0.4, ge=0, le=2, description="added to each side of a face's box, as a share of the box; 0.4 is DEX's"
    )
    min_side: int = Field(20, ge=1, description="a face with a shorter side, before resizing, is rejected")
    max_pixels: int = Field(
        100_000_000, ge=1, le=150_000_000, description="a photo with more pixels is rejected before it is decoded"
    )
    max_bytes: int = Field(
        100_000_000, ge=1, description="a photo file with more bytes is rejected before it is opened"
    )
    quality: int = Field(95, ge=50, le=100, description="JPEG quality of stored faces")
    align: bool = Field(
        False, description="faces are turned until the eyes are level, where the detector sees the eyes of a face"
    )
    turns: tuple[Literal[90, 180, 270], ...] = Field(
        (),
        description="degrees, clockwise, by which photos may stand turned without saying so: they are looked at in these turns "
        "too, and faces are turned upright; [90, 180, 270] for all, [] for none",
    )

    @property
    def turn_faces(self) -> bool:
        """Whether it is looked how a face stands."""
        return self.align or bool(self.turns)


class PhotoRejected(Exception):
    """A photo or face that cannot be used; `reason` is one of `schemas.reject.REASONS`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
