"""Credentials do not reach what is shown or written."""

import subprocess
import sys

import pytest

from components.report import page
from schemas.error import VisageError
from schemas.redaction import holds_secret, redact, redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:hunter2@mlflow:5000/x", "http://me:***@mlflow:5000/x"),
        ("postgresql://u:p%40ss:w@db/mlflow?sslmode=require", "postgresql://u:***@db/mlflow?sslmode=require"),
        ("https://ghp_0123456789abcdefghij@host/repo", "https://***@host/repo"),
        ("s3://bucket/photos", "s3://bucket/photos"),
        (
            "https://x.blob.core.windows.net/c?sv=2024&sig=abc%3D&se=1",
            "https://x.blob.core.windows.net/c?sv=2024&sig=***&se=1",
        ),
        ("https://b.s3.amazonaws.com/k?X-Amz-Signature=ab12", "https://b.s3.amazonaws.com/k?X-Amz-Signature=***"),
        ("--s3_secret_access_key=abc --s3_region=eu", "--s3_secret_access_key=*** --s3_region=eu"),
        ('{"password": "abc", "user": "me"}', '{"password": "***", "user": "me"}'),
        ("AccountName=me;AccountKey=ab+/==;x", "AccountName=me;AccountKey=***;x"),
        ("me@example.org wrote: no secret here", "me@example.org wrote: no secret here"),
        ("/data/tokens/a.jpg and age=4", "/data/tokens/a.jpg and age=4"),
    ],
)
def test_a_text_shows_stars_in_their_place(text, shown):
    assert redact(text) == shown
    assert redact(shown) == shown


def test_settings_hide_them_wherever_they_stand():
    settings = {
        "beam": {"options": ["--s3_access_key_id", "AKIA", "--s3_secret_access_key", "abc", "--streaming"]},
        "source": {"path": "https://u:p@host/x", "token": "abc"},
        "train": {"epochs": 3},
    }
    assert redacted(settings) == {
        "beam": {"options": ["--s3_access_key_id", "***", "--s3_secret_access_key", "***", "--streaming"]},
        "source": {"path": "https://u:***@host/x", "token": "***"},
        "train": {"epochs": 3},
    }
    assert holds_secret(settings)
    assert not holds_secret({"options": ("--runner=x",), "path": "s3://b/x"})


def test_a_message_hides_them():
    error = VisageError("http://me:hunter2@host is away", "Try --password=abc")
    assert "hunter2" not in f"{error} {error.message} {error.args}" and "abc" not in str(error)


def test_a_page_hides_them(tmp_path):
    page.write(
        tmp_path / "page.html", "x", [page.Paragraph("http://me:hunter2@host"), page.Table(("a",), [("sig=abc",)])]
    )
    assert "hunter2" not in (text := (tmp_path / "page.html").read_text()) and "abc" not in text


def test_log_lines_and_tracebacks_hide_them():
    program = (
        "import logging\nfrom components.step import log_setup\nlog_setup.set_up()\n"
        "log = logging.getLogger('x')\nlog.info('from %s', 'http://me:hunter2@host')\n"
        "try:\n    raise ValueError('--token=hunter2')\nexcept ValueError:\n    log.exception('failed')\n"
    )
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "http://me:***@host" in completed.stderr and "--token=***" in completed.stderr
    assert "hunter2" not in completed.stderr
