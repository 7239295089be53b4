"""The demo archive: drawn faces in IMDB-WIKI's own layout, so that the pipeline runs before any data is downloaded."""
