"""The list of the persons of a model's data, and the split that each of them is in."""

from pathlib import Path

from schemas.error import VisageError


def write(examples: Path, out: Path) -> None:
    """Write each person's split and number of examples, sorted by person, as Parquet.

    Args:
        examples: examples.parquet of the ingest artifact that the model was made from.
        out: file to write.

    Raises:
        VisageError: the examples cannot be read.
    """
    import pyarrow as pa

    from schemas.arrow_files import parquet

    try:
        examples_table = parquet.read_table(examples, columns=["person", "split"])
        counts = examples_table.group_by(["person", "split"]).aggregate([("person", "count")])
        persons_table = pa.table(
            {"person": counts["person"], "split": counts["split"], "examples": counts["person_count"]}
        )
    except (OSError, KeyError, pa.ArrowException) as error:
        raise VisageError(f"{examples} cannot be read: {error}", "Run the ingest step again.") from error
    parquet.write_table(persons_table.sort_by([("person", "ascending"), ("split", "ascending")]), out)
