"""The demo archive: drawn faces in IMDB-WIKI's own layout, so that the pipeline runs before any data is downloaded.

`people` makes up persons, `look` says how age and gender show in a face, `face` draws it on an `easel`, `scene` takes the
photo, `plan` decides the rows and their defects, `archive` writes all of it.
"""

from pipeline.demo.archive import Summary, draw_archive

__all__ = ["Summary", "draw_archive"]
