"""What large archives need: machines, hours, storage, requests and money, and what breaks first. Prints Markdown.

    python infra/capacity.py                                  the tables of CAPACITY.md
    python infra/capacity.py --core_hour 0.02 --deadline 4    with other figures

Every figure has an origin: measured on this project by the benchmark that is named, a constant of its source, published by who
sets a limit, a price, or an assumption. Give your own where you know better.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A number that the tables are computed from.

    Attributes:
        name: also of the option that changes it.
        value: by default.
        unit: of the value.
        kind: `measured`, `code` (a constant of the source), `published`, `price` or `assumed`.
        origin: where it comes from.
    """

    name: str
    value: float
    unit: str
    kind: str
    origin: str


FIGURES = (
    Figure(
        "ingest_small", 911, "photos/s a core", "measured", "`beam_1` of tests/benchmarks/ingest.py, 200x200 pixels"
    ),
    Figure(
        "ingest_500",
        397,
        "photos/s a core",
        "measured",
        "`full_seconds` of it: 20,000 of 500x500 pixels, 25.2 s, two cores",
    ),
    Figure(
        "score_faces", 251, "photos/s a core", "measured", "`faces_job` of tests/benchmarks/score.py: 502 on two cores"
    ),
    Figure(
        "score_detect",
        18,
        "photos/s a core",
        "measured",
        "`detect_job` of it: 36.1 on two cores, 1 in 26 of 14 megapixels",
    ),
    Figure(
        "records",
        59_000,
        "rows/s",
        "measured",
        "`mat_seconds` of tests/benchmarks/ingest.py: one worker reads all labels",
    ),
    Figure("listing", 100_000, "files/s", "measured", "plan of 20,000 files in 0.2 s, on a local disk"),
    Figure(
        "process_memory", 1.1, "GB", "measured", "a process of score, whatever the archive: components/score/README.md"
    ),
    Figure(
        "get_ingest",
        2,
        "GET or HEAD a photo",
        "measured",
        "ingest of 400 single files from versitygw: 885 requests in all",
    ),
    Figure(
        "get_score", 1, "GET a photo", "measured", "score of the same: 449 requests in all, 542 with faces looked for"
    ),
    Figure("read_ahead", 4.2, "MB a GET", "code", "of an archive in a store: components/storage/blocks.py"),
    Figure("example", 6_700, "bytes a face", "measured", "2.66 MB of shards of 400 faces of UTKFace, 200x200 pixels"),
    Figure("score_row", 126, "bytes a face", "measured", "50 kB of Parquet for 400 faces"),
    Figure("part_faces", 500, "photos a part", "code", "components/score/plan.py, where every photo is a face"),
    Figure("part_detect", 20, "photos a part", "code", "the same, where faces are looked for"),
    Figure(
        "at_once", 16, "requests", "code", "what the driver asks for beside each other: components/storage/files.py"
    ),
    Figure("latency", 0.02, "s", "assumed", "until a store answers a small request"),
    Figure("pixels_a_byte", 2.5, "pixels", "assumed", "of ordinary JPEGs; the time to open one grows with its pixels"),
    Figure("archived_photo", 2.5, "MB", "assumed", "a photo of an archive, on average"),
    Figure("faces_a_photo", 1.5, "faces", "assumed", "of an ordinary photo"),
    Figure(
        "bundles_a_core",
        1,
        "",
        "assumed",
        "photos that a core waits for at once; Flink and Dataflow do one bundle a core",
    ),
    Figure("efficiency", 0.8, "", "assumed", "what a cluster leaves of that: starts, stragglers"),
    Figure("machine_cores", 8, "cores", "assumed", "of a machine of the cluster"),
    Figure("machine_network", 1.25, "GB/s", "assumed", "10 Gbit/s a machine, the driver's too"),
    Figure("deadline", 24, "hours", "assumed", "within which a job is to end"),
    Figure("get_limit", 5_500, "GET/s", "published", "Amazon S3, at least so many for each partitioned prefix"),
    Figure("put_limit", 3_500, "PUT/s", "published", "the same"),
    Figure("core_hour", 0.05, "USD", "price", "assumed for an ordinary core by the hour; nobody's list"),
    Figure("gb_month", 0.023, "USD", "price", "S3 Standard, us-east-1, as commonly quoted in 2026; look yours up"),
    Figure("get_1000", 0.0004, "USD", "price", "the same"),
    Figure("put_1000", 0.005, "USD", "price", "the same; listing a page costs as much"),
)


@dataclass(frozen=True)
class Job:
    """A job, and what follows from the figures.

    Attributes:
        name: for people.
        photos: that are read.
        bytes_read: of all photos.
        opened: photos a second a core, where they lie at hand.
        gets: requests that read a photo.
        puts: files that workers write: spool files and shards, or parts.
        collected: small files that the driver fetches one by one at the end.
        bytes_out: of the artifact, which the driver fetches.
        bytes_staged: at most, in the staging place.
        has_labels: whether one worker reads a table of labels first.
    """

    name: str
    photos: int
    bytes_read: float
    opened: float
    gets: float
    puts: float
    collected: float
    bytes_out: float
    bytes_staged: float
    has_labels: bool

    def rate(self, figure: dict[str, float]) -> float:
        """Photos a second a core, with the time that each waits for the store."""
        return 1 / (1 / self.opened + self.gets * figure["latency"] / figure["bundles_a_core"])


def jobs(figure: dict[str, float]) -> list[Job]:
    """The jobs of CAPACITY.md: IMDB-WIKI as it is published, and an archive."""
    people, archive = 523_051, 100_000_000
    pixels = 272e9 / people * figure["pixels_a_byte"]
    spool, shard = 32e6, 32e6

    def ingest(name: str, bytes_read: float, opened: float, gets: float) -> Job:
        out = people * figure["example"]
        pieces = 2 * (out / shard)
        puts = out / spool + pieces
        return Job(name, people, bytes_read, opened, gets, puts, pieces, out, 2 * out, True)

    def score(name: str, photo: float, opened: float, gets: float, part: float, faces: float) -> Job:
        parts, out = archive / part, archive * faces * figure["score_row"]
        return Job(name, archive, archive * photo, opened, gets, parts, parts, out, 2 * out, False)

    def archived(photo: float) -> float:
        """Requests a photo where photos lie one after another in an archive."""
        return photo / 1e6 / figure["read_ahead"]

    photo, fast, slow = figure["archived_photo"] * 1e6, figure["score_faces"], figure["score_detect"]
    ingest_whole = figure["ingest_500"] * 500 * 500 / pixels
    return [
        ingest("IMDB-WIKI cropped, single files", 8e9, figure["ingest_small"], figure["get_ingest"]),
        ingest("IMDB-WIKI cropped, in archives", 8e9, figure["ingest_small"], archived(8e9 / people)),
        ingest("IMDB-WIKI whole, in archives", 272e9, ingest_whole, archived(272e9 / people)),
        score(
            "100 M photos, faces found",
            photo,
            slow,
            figure["get_score"],
            figure["part_detect"],
            figure["faces_a_photo"],
        ),
        score("100 M cropped faces, in archives", 15_000, fast, archived(15_000), figure["part_faces"], 1),
    ]


@dataclass(frozen=True)
class Needs:
    """What a job needs to end within the deadline."""

    core_hours: float
    machines: int
    hours: float
    gets: float
    puts: float
    lists: float

    @classmethod
    def of(cls, job: Job, figure: dict[str, float]) -> "Needs":
        core_hours = job.photos / job.rate(figure) / figure["efficiency"] / 3600
        machines = math.ceil(core_hours / figure["deadline"] / figure["machine_cores"])
        gets = job.photos * job.gets + job.collected
        lists = (job.photos + job.puts) / 1000
        return cls(core_hours, machines, core_hours / machines / figure["machine_cores"], gets, job.puts, lists)


def table(figure: dict[str, float]) -> list[str]:
    """The jobs as columns."""
    columns = [(job, Needs.of(job, figure)) for job in jobs(figure)]

    def money(job: Job, needs: Needs) -> float:
        return needs.core_hours * figure["core_hour"]

    rows: dict[str, Callable[[Job, Needs], str]] = {
        "photos": lambda job, _: f"{job.photos:,}",
        "read, GB": lambda job, _: _number(job.bytes_read / 1e9),
        "photos/s a core": lambda job, _: _number(job.rate(figure)),
        "of it waiting for the store": lambda job, _: f"{1 - job.rate(figure) / job.opened:.0%}",
        "core hours": lambda _, needs: _number(needs.core_hours),
        f"machines of {figure['machine_cores']:g} cores": lambda _, needs: f"{needs.machines:,}",
        "hours": lambda _, needs: _number(needs.hours),
        "memory a machine, GB": lambda *_: _number(figure["machine_cores"] * figure["process_memory"]),
        "network a machine, MB/s": lambda job, needs: _number(
            job.bytes_read / 1e6 / needs.hours / 3600 / needs.machines
        ),
        "staged at most, GB": lambda job, _: _number(job.bytes_staged / 1e9),
        "artifact, GB": lambda job, _: _number(job.bytes_out / 1e9),
        "GET and HEAD": lambda _, needs: _number(needs.gets),
        "PUT": lambda _, needs: _number(needs.puts),
        "LIST": lambda _, needs: _number(needs.lists),
        "cores, USD": lambda job, needs: _number(money(job, needs)),
        "requests, USD": lambda _, needs: _number(
            needs.gets / 1000 * figure["get_1000"] + (needs.puts + needs.lists) / 1000 * figure["put_1000"]
        ),
        "artifact a month, USD": lambda job, _: _number(job.bytes_out / 1e9 * figure["gb_month"]),
        "photos a month, USD": lambda job, _: _number(job.bytes_read / 1e9 * figure["gb_month"]),
    }
    lines = ["| | " + " | ".join(job.name for job, _ in columns) + " |", "|---|" + "---|" * len(columns)]
    return lines + [
        f"| {name} | " + " | ".join(cell(*column) for column in columns) + " |" for name, cell in rows.items()
    ]


def limits(job: Job, figure: dict[str, float]) -> dict[str, float]:
    """How much a job takes of what grows with it and cannot be had twice, 1 being all of it.

    That is the deadline, for what one process does alone, and what a store gives a prefix, with as many machines as end in time.
    """
    deadline = figure["deadline"] * 3600
    alone = {
        "the driver collects parts, a file each": job.collected * figure["latency"] / figure["at_once"],
        "the driver fetches the artifact": job.bytes_out / 1e9 / figure["machine_network"],
    }
    if job.has_labels:
        alone["one worker reads the labels"] = job.photos / figure["records"]
    else:
        alone["the driver lists the photos"] = job.photos * max(figure["latency"] / 1000, 1 / figure["listing"])
    rates = {
        "reads of one prefix": job.photos * job.gets / figure["get_limit"],
        "writes to one prefix": job.puts / figure["put_limit"],
    }
    return {name: seconds / deadline for name, seconds in (alone | rates).items()}


def breaks_first(figure: dict[str, float]) -> list[str]:
    """For every job its three nearest limits, and how many photos reach the first."""
    lines = ["| | takes most of | then | then | reached at photos |", "|---|---|---|---|---|"]
    for job in jobs(figure):
        nearest = sorted(limits(job, figure).items(), key=lambda item: -item[1])[:3]
        cells = [f"{name}, {_number(share * 100)} %" for name, share in nearest]
        lines.append(f"| {job.name} | {' | '.join(cells)} | {_number(job.photos / nearest[0][1])} |")
    return lines


def origins(figure: dict[str, float]) -> list[str]:
    """All figures, with where they come from."""
    lines = ["| figure | | kind | |", "|---|---|---|---|"]
    for entry in FIGURES:
        value = figure[entry.name]
        kind, origin = (entry.kind, entry.origin) if value == entry.value else ("given", "on the command line")
        lines.append(f"| `{entry.name}` | {value:,g} {entry.unit} | {kind} | {origin} |")
    return lines


def _number(value: float) -> str:
    """Two digits that count, as a person would say it."""
    if value >= 1e6:
        return f"{_rounded(value / 1e6):,g} M"
    return f"{_rounded(value):,g}"


def _rounded(value: float) -> float:
    return value if value == 0 else round(value, 1 - math.floor(math.log10(abs(value))))


def _figure(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no figure: 0 or more is wanted")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for entry in FIGURES:
        parser.add_argument(
            f"--{entry.name}",
            type=_figure,
            default=entry.value,
            metavar="X",
            help=f"{entry.unit} (%(default)s, {entry.kind})",
        )
    figure = vars(parser.parse_args())
    try:
        sections = {
            "What is needed": table(figure),
            "What breaks first": breaks_first(figure),
            "Where the figures come from": origins(figure),
        }
    except ZeroDivisionError:
        zeros = ", ".join(f"--{name}" for name, value in figure.items() if value == 0)
        parser.error(f"with 0 nothing can be computed: {zeros}")
    for title, lines in sections.items():
        print(f"## {title}\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
