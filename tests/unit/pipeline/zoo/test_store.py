"""Models of the zoo on this machine."""

import hashlib
import stat

import pytest
from archives import FILES, NAME, member, pack, packed_model
from refusals import refused

from app.errors import DetboxError, SettingsError
from app.pipeline.zoo import catalogue, store

ARCHIVE = f"{NAME}.tar.gz"


@pytest.fixture
def zoo(tmp_path):
    return tmp_path / "zoo"


@pytest.fixture
def bring(web, model, zoo):
    """Fetches the model from the server, or from another mirror."""
    return lambda mirror=None: store.fetch(model, zoo, mirror or web.url, pause=lambda seconds: None)


@pytest.fixture
def served(web, model):
    """Puts an archive where upstream's layout has it."""

    def put(data):
        web.files[f"/{model.date}/{model.archive}"] = data
        return data

    return put


def left(zoo):
    """What is under `zoo` beside the models and the sums."""
    return sorted(path.name for path in zoo.rglob("*") if path.name.startswith(".") or ".part" in path.name)


def test_fetched(bring, served, zoo, web):
    """The model is unpacked under its name, with what it was on record; no other file is left."""
    data = served(packed_model())
    stored = bring()
    assert stored.is_new and stored.folder == zoo / NAME
    assert all((zoo / NAME / path).read_bytes() == content for path, content in FILES.items())
    record = store.record_of(str(zoo / NAME / "checkpoint" / "ckpt-0"))
    assert record == stored.record
    assert record["sha256"] == hashlib.sha256(data).hexdigest() and record["bytes"] == len(data)
    assert (record["name"], record["url"]) == (NAME, f"{web.url}/20200711/{ARCHIVE}")
    assert (zoo / "SHA256SUMS").read_text() == f"{record['sha256']}  {ARCHIVE}\n"
    assert left(zoo) == [".downloads"]
    assert [path.suffix for path in (zoo / ".downloads").iterdir()] == [".lock"]


def test_fetched_again(bring, served, web):
    """The second time nothing is asked for, and the record is the first one."""
    served(packed_model())
    first = bring()
    asked = len(web.requests)
    second = bring()
    assert not second.is_new and second.record == first.record and len(web.requests) == asked


def test_flat_mirror(bring, web):
    """A mirror may hold the archives in one folder."""
    web.files[f"/{ARCHIVE}"] = packed_model()
    assert bring(f"{web.url}/").is_new
    assert [path for path, _ in web.requests] == [f"/20200711/{ARCHIVE}", f"/{ARCHIVE}"]


def test_mirror_without_the_model(bring, zoo):
    """A mirror that does not have it is named with what was looked for, and nothing is left."""
    with pytest.raises(DetboxError, match=rf"has neither 20200711/{ARCHIVE} nor {ARCHIVE}.*DETBOX_ZOO_MIRROR"):
        bring()
    assert not (zoo / NAME).exists() and left(zoo) == [".downloads"]


def test_broken_off_and_gone_on_with(bring, served, web, zoo, model):
    """A download that was given up is gone on with by the next fetch."""
    served(packed_model())
    web.statuses, web.cuts = [200, *[503] * 9], [2000]
    with refused(DetboxError, flag="--zoo_mirror", about="2000 bytes"):
        bring()
    web.statuses = []
    assert bring().is_new and web.requests[-1][1] == "bytes=2000-"


def test_other_archive_later(bring, served, zoo):
    """An archive with another sha256 than the recorded one is refused, also when the model was deleted meanwhile."""
    first = hashlib.sha256(served(packed_model())).hexdigest()
    folder = bring().folder
    folder.rename(zoo / "elsewhere")
    second = hashlib.sha256(served(packed_model(saved_model=b"other"))).hexdigest()
    with pytest.raises(DetboxError, match=rf"sha256 {second}, but {first} is on record.*SHA256SUMS"):
        bring()
    assert not folder.exists()


def test_sums_given_beforehand(bring, served, zoo):
    """A team's own SHA256SUMS holds from the first fetch on."""
    zoo.mkdir()
    (zoo / "SHA256SUMS").write_text(f"{'0' * 64} *{ARCHIVE}\n")
    served(packed_model())
    with refused(
        DetboxError, where="ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.tar.gz", flag="--zoo_mirror", about="0000 is"
    ):
        bring()


def test_sums_without_a_last_line_break(bring, served, zoo):
    """A line is added to a file that was written by hand, and not to its last line."""
    zoo.mkdir()
    (zoo / "SHA256SUMS").write_text(f"{'0' * 64}  other.tar.gz")
    served(packed_model())
    digest = bring().record["sha256"]
    assert (zoo / "SHA256SUMS").read_text().splitlines() == [f"{'0' * 64}  other.tar.gz", f"{digest}  {ARCHIVE}"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (packed_model()[:500], "is no whole"),
        (pack(member("../x", b"")), "leads out"),
        (pack(member("a/saved_model.pb", b"")), "holds no pipeline.config"),
        (pack(member("a/pipeline.config", b"")), "holds no checkpoint"),
    ],
)
def test_refused_archive(bring, served, zoo, data, what):
    """A refused archive leaves no model, no sum and no part, so that a good one is fetched next."""
    served(data)
    with pytest.raises(DetboxError, match=what):
        bring()
    assert [path.name for path in zoo.iterdir()] == [".downloads"]
    served(packed_model())
    assert bring().is_new


def test_folder_of_another_name(bring, served, zoo):
    """An archive's folder need not be called like the archive."""
    served(packed_model(name="somewhere/deep"))
    assert (bring().folder / "checkpoint" / "ckpt-0.index").is_file()


@pytest.mark.parametrize("place", ["", "20200711/"])
def test_folder_of_archives(bring, tmp_path, place):
    """A mirror may be a folder, flat or in upstream's layout; the archive stays."""
    path = tmp_path / "mirror" / f"{place}{ARCHIVE}"
    path.parent.mkdir(parents=True)
    path.write_bytes(packed_model())
    stored = bring(str(tmp_path / "mirror"))
    assert stored.record["url"] == str(path) and path.is_file()


def test_folder_of_models(bring, tmp_path, unpacked):
    """It may hold the unpacked model, whose files are copied and summed up."""
    folder = unpacked(tmp_path / "mirror" / NAME)
    folder.joinpath("pipeline.config").chmod(0o600)
    stored = bring(str(tmp_path / "mirror"))
    lines = "".join(f"{hashlib.sha256(FILES[path]).hexdigest()}  {path}\n" for path in sorted(FILES))
    assert stored.record["sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    assert stored.record["sha256_of"] == "folder" and stored.record["bytes"] == sum(map(len, FILES.values()))
    assert stat.S_IMODE((stored.folder / "pipeline.config").stat().st_mode) & 0o444 == 0o444


def test_put_there_by_hand(bring, zoo, unpacked, web):
    """A model that someone unpacked under zoo_dir is taken; it has no record."""
    unpacked(zoo / NAME)
    stored = bring()
    assert (stored.is_new, stored.record, web.requests) == (False, {}, [])
    assert store.record_of(str(zoo / NAME / "checkpoint" / "ckpt-0")) is None
    assert store.record_of("") is None


def test_folder_without_the_model(bring, tmp_path):
    """A folder that has neither is named, as is one that is not there."""
    with pytest.raises(DetboxError, match=f"has neither {ARCHIVE} nor a folder {NAME}"):
        bring(str(tmp_path))
    with refused(SettingsError, where="/gone", flag="--zoo_mirror"):
        bring(str(tmp_path / "gone"))


def test_other_scheme(bring):
    """Only HTTP, HTTPS and folders."""
    with refused(SettingsError, flag="--zoo_mirror", about="address"):
        bring("ftp://host/models")


def test_zoo_dir_that_is_a_file(bring, zoo):
    """A zoo_dir that can't be written is named."""
    zoo.write_text("")
    with refused(DetboxError, where="/zoo", flag="--zoo_dir"):
        bring()


def test_leftovers_of_a_killed_process(bring, served, zoo):
    """A folder that a killed process was unpacking goes with the next fetch."""
    served(packed_model())
    (zoo / f".{NAME}.abc" / "unpacked").mkdir(parents=True)
    bring()
    assert left(zoo) == [".downloads"]


def test_upstream_is_asked_by_https(monkeypatch, model, zoo):
    """Without a mirror upstream's own address is taken, over TLS."""
    asked = []

    def refuse(url, *arguments, **options):
        asked.append(url)
        raise SettingsError("no network here")

    monkeypatch.setattr(store, "download", refuse)
    with pytest.raises(SettingsError):
        store.fetch(model, zoo, "")
    assert asked == [f"https://download.tensorflow.org/models/object_detection/tf2/{model.date}/{model.archive}"]
    assert catalogue.UPSTREAM in asked[0]


def test_sums_in_another_encoding(bring, served, zoo):
    """A list with a comment of another code page is read, and added to."""
    served(packed_model())
    zoo.mkdir()
    (zoo / "SHA256SUMS").write_bytes(b"# \xfcber\n")
    bring()
    assert (zoo / "SHA256SUMS").read_bytes().startswith(b"# \xfcber\n") and ARCHIVE in str(
        (zoo / "SHA256SUMS").read_bytes()
    )
