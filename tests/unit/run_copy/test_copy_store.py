"""The place that a run is copied to: its address, its errors, what it is asked."""

import json
import socket
from urllib.parse import unquote

import pytest
from refusals import refused

from app.errors import SettingsError
from app.run_copy.store import CopyStore, Overtaken, Unreachable


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "s3://", "gs:///x", "memory:///x", "https://host/x", "http://[x", "s3://[x/y"]
)
def test_an_address_that_is_none_is_refused(url):
    """Before anything else is done."""
    with refused(SettingsError, where="DETBOX_SYNC_TO"):
        CopyStore(url, "wheels")


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/x", "az://container/x?sig=secret", "gs://secret@b"])
def test_an_address_with_credentials_is_refused(url):
    """It would be in the run's records and logs; nor is it in the error."""
    with refused(SettingsError, where="DETBOX_SYNC_TO") as caught:
        CopyStore(url, "wheels")
    assert "secret" not in str(caught.value)


def test_a_folder_is_named_by_a_path_or_an_address(tmp_path, monkeypatch):
    """A relative one is that of the working directory; it is made."""
    monkeypatch.chdir(tmp_path)
    for url in ("copies", str(tmp_path / "copies"), f"file://{tmp_path}/copies"):
        store = CopyStore(url, "wheels")
        store.probe()
        assert store.folder == tmp_path / "copies" / "wheels"
    assert list(store.folder.iterdir()) == []


def test_a_file_is_no_folder(tmp_path):
    """As a place to copy to."""
    (tmp_path / "file").write_text("x")
    with refused(SettingsError, where="wheels", flag="sync_to"):
        CopyStore(str(tmp_path / "file"), "wheels").probe()


def test_a_bucket_that_is_not_there_is_refused(credentials):
    """It does not come by waiting."""
    with refused(SettingsError, where="s3://no-such-bucket/x/wheels", flag="sync_to", about="bucket") as caught:
        CopyStore("s3://no-such-bucket/x", "wheels").probe()
    assert not isinstance(caught.value, Unreachable)


def test_without_credentials_it_says_which(monkeypatch, credentials):
    """The service of the machine that would give some is asked first."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        with refused(SettingsError, where="wheels", flag="AWS_ACCESS_KEY_ID") as caught:
            CopyStore("s3://bucket/x", "wheels").probe()
    assert not isinstance(caught.value, Unreachable)


@pytest.mark.parametrize(("status", "lasts"), [(403, True), (401, True), (404, True), (503, False)])
def test_what_lasts_is_told_from_what_may_pass(stub, status, lasts):
    """Rights and names do not come by waiting; no error has the secret."""
    stub.status = status
    with refused(SettingsError, where="s3://bucket/models/wheels") as caught:
        CopyStore("s3://bucket/models", "wheels").probe()
    assert isinstance(caught.value, Unreachable) is not lasts
    assert "very-secret" not in str(caught.value)


def test_a_signature_in_an_address_is_not_shown(stub, monkeypatch):
    """Azure's, which is part of what is asked for."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=very-secret")
    for stub.status in (403, 503):
        with refused(SettingsError, where="az://container/models/wheels") as caught:
            CopyStore("az://container/models", "wheels").probe()
        assert "very-secret" in stub.requests[-1][1]
        assert "very-secret" not in str(caught.value)


def asked(stub, header):
    method, path, headers = stub.requests[-1]
    return method, unquote(path), headers.get(header)


def test_the_manifest_is_replaced_under_a_condition_in_each_cloud(stub, monkeypatch, tmp_path):
    """That it is still the one that was read: each has a way of its own to say so."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    key = {"gcs_base_url": stub.url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    (tmp_path / "key.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "key.json"))
    version = {"e_tag": '"1"', "version": "5"}
    for url, path, header, condition in (
        ("s3://bucket/models", "/bucket/models/wheels/manifest.json", "if-match", '"1"'),
        ("az://container/models", "/container/models/wheels/manifest.json", "if-match", '"1"'),
        ("gs://bucket/models", "/bucket/models/wheels/manifest.json", "x-goog-if-generation-match", "5"),
    ):
        CopyStore(url, "wheels").replace_manifest(b"{}", version)
        assert asked(stub, header) == ("PUT", path, condition)
        stub.status = 412
        with pytest.raises(Overtaken):
            CopyStore(url, "wheels").replace_manifest(b"{}", version)
        stub.status = 200


def test_only_the_version_that_was_read_is_replaced(place):
    """Neither one that came meanwhile, nor one where there was none."""
    store = CopyStore(place.url, "wheels")
    first = store.replace_manifest(b'{"a": 1}', None)
    with pytest.raises(Overtaken):
        store.replace_manifest(b'{"b": 1}', None)
    second = store.replace_manifest(b'{"c": 12}', first)
    with pytest.raises(Overtaken):
        store.replace_manifest(b'{"d": 123}', first)
    assert store.read_manifest(100) == (b'{"c": 12}', second)


def test_a_manifest_that_is_too_large_is_not_read(place):
    """Whoever wrote it."""
    store = CopyStore(place.url, "wheels")
    store.replace_manifest(b"0123456789", None)
    with refused(SettingsError, where="wheels", flag="sync_to", about="10 bytes"):
        store.read_manifest(9)


def test_parts_are_listed_with_size_and_age_and_deleted(place):
    """One that is gone is gone."""
    store = CopyStore(place.url, "wheels")
    names = [letter * 64 for letter in "abc"]
    for name in names:
        store.start_put(name, b"12345").result()
    assert {name: size for name, (size, _) in store.list_parts().items()} == dict.fromkeys(names, 5)
    store.delete_parts(names[:2])
    store.delete_parts(names)
    assert store.list_parts() == {}
