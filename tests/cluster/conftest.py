import pytest

from tests.cluster.go_servers import Unavailable
from tests.cluster.jobs import on_prism


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Prism and an S3 server that demands credentials."""
    try:
        with on_prism(tmp_path_factory.mktemp("cluster")) as started:
            yield started
    except Unavailable as why:
        pytest.skip(str(why))
