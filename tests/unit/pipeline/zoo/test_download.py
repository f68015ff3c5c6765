"""A file by HTTP, whatever the connection does."""

import pytest
from refusals import refused

from app.errors import DetboxError, SettingsError
from app.pipeline.zoo import download as module
from app.pipeline.zoo.download import NotThere, download

BODY = bytes(range(256)) * 400


@pytest.fixture
def bring(web, tmp_path):
    """Downloads /a.tar.gz; `bring.pauses` are the waits between tries, which are not waited."""
    web.files["/a.tar.gz"] = BODY

    def run(**options):
        path = tmp_path / "a.tar.gz"
        size = download(f"{web.url}/a.tar.gz", path, pause=run.pauses.append, **options)
        assert size == path.stat().st_size and [entry.name for entry in tmp_path.iterdir()] == ["a.tar.gz"]
        return path.read_bytes()

    run.pauses = []
    return run


def ranges(web):
    return [asked for _, asked in web.requests]


def test_in_one_piece(web, bring):
    """The file as it is, with no pause, and progress up to its size."""
    seen = []
    assert bring(progress=lambda done, total: seen.append((done, total))) == BODY
    assert (bring.pauses, ranges(web)) == ([], [""])
    assert seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY))


def test_cut_connection(web, bring):
    """What broke off twice is gone on with from where it broke off."""
    web.cuts = [1000, 500]
    assert bring() == BODY
    assert ranges(web) == ["", "bytes=1000-", "bytes=1500-"]


def test_killed_and_started_again(web, bring, tmp_path):
    """Another process goes on with the part that an earlier one left."""
    web.cuts = [1000]
    with refused(DetboxError, flag="--zoo_mirror", about="1000 bytes"):
        bring(attempts=1)
    assert bring() == BODY
    assert ranges(web) == ["", "bytes=1000-"]


def test_killed_before_the_last_rename(web, bring, tmp_path):
    """A part that is the whole file is not fetched again."""
    web.cuts = [1000]
    with pytest.raises(DetboxError):
        bring(attempts=1)
    (tmp_path / "a.tar.gz.part").write_bytes(BODY)
    web.statuses = [416]
    assert bring() == BODY


def test_server_without_ranges(web, bring):
    """A server that always sends the whole file gets it taken from the start."""
    web.ranges, web.cuts = False, [1000]
    assert bring() == BODY
    assert ranges(web) == ["", "bytes=1000-"]


def test_server_without_validators(web, bring):
    """Without an ETag or a date nothing says that the rest is of the same file: it is fetched whole."""
    web.etag, web.cuts = "", [1000]
    assert bring() == BODY
    assert ranges(web) == ["", ""]


def test_file_changes_between_parts(web, bring):
    """A file that is another by the second request is fetched whole: If-Range."""
    web.cuts = [1000]
    with pytest.raises(DetboxError):
        bring(attempts=1)
    web.files["/a.tar.gz"], web.etag = BODY[::-1], '"2"'
    assert bring() == BODY[::-1]
    assert ranges(web) == ["", "bytes=1000-"]


def test_server_that_lies_about_parts(web, bring, tmp_path):
    """A part that does not fit what is here is not glued to it."""
    web.cuts = [1000]
    with pytest.raises(DetboxError):
        bring(attempts=1)
    web.files["/a.tar.gz"] = BODY + BODY
    assert bring() == BODY + BODY
    assert ranges(web) == ["", "bytes=1000-", ""]


def test_never_as_long_as_said(web, bring, tmp_path):
    """A file that always ends early is given up, and has no final name."""
    web.ranges, web.cuts = False, [1000] * 9
    with pytest.raises(DetboxError, match="--zoo_mirror"):
        bring(attempts=3)
    assert not (tmp_path / "a.tar.gz").exists()
    assert len(web.requests) == 3


def test_server_that_is_busy(web, bring):
    """500 and 503 may pass: tried again, each time after a longer pause."""
    web.statuses = [500, 503]
    assert bring() == BODY
    assert bring.pauses == [module.PAUSE_SECONDS, 2 * module.PAUSE_SECONDS]


def test_server_that_stays_broken(web, bring):
    """It is given up after some tries, with the last answer."""
    web.statuses = [500] * 9
    with refused(DetboxError, flag="--zoo_mirror", about="500"):
        bring(attempts=3)
    assert len(web.requests) == 3


@pytest.mark.parametrize(("status", "error"), [(404, NotThere), (410, NotThere), (403, DetboxError)])
def test_answers_that_stay(web, bring, status, error):
    """No file, or no right to it: no second try."""
    web.statuses = [status]
    with pytest.raises(error, match=r"127\.0\.0\.1.*--zoo_mirror"):
        bring()
    assert len(web.requests) == 1


def test_nobody_answers(tmp_path):
    """A closed port is named in one line."""
    with refused(DetboxError, flag="--zoo_mirror", about="refused"):
        download("http://127.0.0.1:9/a", tmp_path / "a", attempts=2, pause=lambda seconds: None)


@pytest.mark.parametrize("url", ["ftp://host/a", "file:///etc/passwd", "http:///a", "://a", "a.tar.gz", "http://["])
def test_other_schemes(tmp_path, url):
    """Only HTTP and HTTPS."""
    with refused(SettingsError, flag="--zoo_mirror", about="http"):
        download(url, tmp_path / "a")


def test_redirect_to_another_scheme(web, bring):
    """A server can't send us to a file of this machine."""
    web.statuses, web.location = [302], "file:///etc/passwd"
    with refused(SettingsError, flag="--zoo_mirror", about="fetched"):
        bring()


def test_password_is_not_shown(tmp_path):
    """An address with a password is shown without it."""
    with pytest.raises(DetboxError) as caught:
        download("http://me:secret@127.0.0.1:9/a", tmp_path / "a", attempts=1)
    assert "secret" not in str(caught.value) and "http://127.0.0.1:9/a" in str(caught.value)


def test_no_room(web, bring, monkeypatch):
    """A file that does not fit on the disk is refused before it is fetched."""
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with refused(DetboxError, flag="--zoo_dir", about="10 are"):
        bring()


def test_redirect_away_from_tls():
    """What was asked for by HTTPS is not taken by HTTP; the other way round is fine."""
    with refused(DetboxError, where="https://a/x", flag="--zoo_mirror", about="http://b/"):
        module.check_way("https://a/x", "http://b/x")
    module.check_way("http://a/x", "https://b/x")
    module.check_way("https://a/x", "https://b/x")


def test_redirect_is_followed(web, tmp_path):
    """A mirror may send us to where the file is."""
    web.files["/b"], web.statuses, web.location = BODY, [302], "/b"
    assert download(f"{web.url}/a", tmp_path / "a") == len(BODY)
