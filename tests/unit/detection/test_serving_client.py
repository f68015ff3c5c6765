"""The client of TensorFlow Serving, against a stand-in that speaks its REST protocol on this machine."""

import socket

import numpy as np
import pytest
from refusals import refused
from serving_stand_in import serving

from app.detection import serving_client
from app.detection.serving_client import ServedModel, model_url
from app.errors import SettingsError


def image(size=(40, 60), box=(10, 20, 30, 50)):
    pixels = np.full((*size, 3), 120, np.uint8)
    if box:
        pixels[box[0] : box[2], box[1] : box[3]] = (255, 0, 0)
    return pixels


@pytest.mark.parametrize(
    ("dtype", "batch", "requests"),
    [("DT_UINT8", 1, [1, 1, 1]), ("DT_UINT8", -1, [2, 1]), ("DT_FLOAT", -1, [2, 1]), ("DT_STRING", -1, [2, 1])],
)
def test_detections_of_each_input_type(dtype, batch, requests):
    """Pixels as numbers or files as base64, as the model's metadata ask for; the padding of outputs is left out."""
    with serving(dtype=dtype, batch=batch) as server:
        found = ServedModel(server.url).detect([image(), image((30, 30), None), image(box=(0, 0, 40, 60))])
    assert sorted(server.requests) == sorted(requests)
    assert [len(one.scores) for one in found] == [1, 0, 1]
    assert found[0].boxes[0] == pytest.approx([10 / 40, 20 / 60, 30 / 40, 50 / 60])
    assert found[2].boxes[0] == pytest.approx([0, 0, 1, 1])
    assert (found[0].classes[0], found[0].scores[0]) == (2, pytest.approx(0.9))


@pytest.mark.parametrize("end", ["", "/", ":predict", "/metadata", "/versions/3", "/versions/3:predict"])
def test_any_of_the_models_urls(end):
    """Whichever of Serving's URLs of the model was copied."""
    with serving() as server:
        assert len(ServedModel(server.url + end).detect([image()])[0].scores) == 1


def test_large_images_are_shrunk_to_be_sent_as_numbers(monkeypatch):
    """The boxes are those of the image as it was."""
    monkeypatch.setattr(serving_client, "WIDEST_AS_NUMBERS", 60)
    with serving() as server:
        found = ServedModel(server.url).detect([image((400, 600), (100, 200, 300, 500))])[0]
    assert found.boxes[0] == pytest.approx([0.25, 1 / 3, 0.75, 5 / 6], abs=0.02)


@pytest.mark.parametrize(
    ("url", "name", "expected"),
    [
        ("http://h:8501", "wheels", "http://h:8501/v1/models/wheels"),
        ("https://h/", "wheels", "https://h/v1/models/wheels"),
        ("http://h/behind/v1/models/a", "wheels", "http://h/behind/v1/models/a"),
        ("http://[::1]:8501/v1/models/a/labels/stable:predict", "", "http://[::1]:8501/v1/models/a/labels/stable"),
    ],
)
def test_url_of_the_model(url, name, expected):
    """A server alone is asked for the run's model."""
    assert model_url(url, name) == expected


@pytest.mark.parametrize(
    "url", ["http://h", "ftp://h/v1/models/a", "file:///etc/passwd", "h:8501", "http://h/other", "http://u:p@h/x", ""]
)
def test_other_urls_are_refused(url):
    """In one line that shows no password."""
    with pytest.raises(SettingsError, match="--server") as caught:
        model_url(url)
    assert "u:p" not in str(caught.value)


def test_the_servers_error_is_told():
    """What Serving says in its answer, with the address that was asked."""
    with serving() as server, refused(SettingsError, flag="--server", about="404 Malformed"):
        ServedModel(server.url.replace("shapes", "other"))
    with serving(dtype="DT_HALF") as server, refused(SettingsError, flag="--server", about="takes DT_HALF"):
        ServedModel(server.url)


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"null", b'{"metadata": 1}', b'{"outputs": {"a": 1}}'])
def test_an_answer_that_is_none_of_servings(content):
    """Whatever listens there, the failure is one line."""
    with serving() as server:
        model = ServedModel(server.url)
        server.sabotage = content
        for call in (lambda: ServedModel(server.url), lambda: model.detect([image()])):
            with pytest.raises(SettingsError) as caught:
                call()
            assert server.url in str(caught.value)


def test_nobody_listens():
    """A server that is not there is told by the system's own word."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with refused(SettingsError, flag="--server", about="Connection"):
            ServedModel(f"http://127.0.0.1:{free.getsockname()[1]}/v1/models/a")


def test_a_server_that_says_nothing(monkeypatch):
    """It is waited for so long and no longer."""
    monkeypatch.setattr(serving_client, "ANSWER_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with refused(SettingsError, flag="--server", about="answer"):
            ServedModel(f"http://127.0.0.1:{silent.getsockname()[1]}/v1/models/a")
