"""Rejects keep all they say in Parquet, and their reasons are a closed list."""

import pyarrow.parquet as pq

from schemas.reject import REASONS, Reject, arrow_schema, read_rejects, write_rejects


def test_what_was_written_is_read(tmp_path):
    rejects = [
        Reject("imdb", "01/ü.jpg", "imdb:1", "no_face", "detail, with\ncommas", 7, "ab" * 32),
        Reject("wiki", "", "", "malformed_row"),
    ]
    write_rejects(tmp_path / "rejects.parquet", iter(rejects))
    assert read_rejects(tmp_path / "rejects.parquet") == rejects


def test_no_rejects_are_a_file_with_all_columns(tmp_path):
    write_rejects(tmp_path / "rejects.parquet", [])
    assert read_rejects(tmp_path / "rejects.parquet") == []
    assert pq.read_schema(tmp_path / "rejects.parquet").equals(arrow_schema())


def test_reasons_stand_in_the_order_in_which_they_apply():
    order = list(REASONS)
    for earlier, later in [
        ("unsafe_path", "malformed_row"),
        ("malformed_row", "age_out_of_range"),
        ("gender_unknown", "photo_missing"),
        ("second_face", "excluded"),
        ("excluded", "photo_missing"),
        ("not_a_photo", "photo_unsupported"),
        ("photo_unsupported", "photo_unreadable"),
        ("photo_unreadable", "duplicate"),
    ]:
        assert order.index(earlier) < order.index(later)
    assert len(order) == 17
