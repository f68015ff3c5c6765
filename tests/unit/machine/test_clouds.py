"""What AWS, Azure and GCE tell, asked of local servers that speak their protocols."""

import contextlib
import json
import time

import hypothesis
import metadata_servers
import pytest
from hypothesis import strategies
from metadata_servers import azure_event, scheduled, spot_action

from app.machine.clouds import Aws, Azure, Gce
from app.machine.metadata_service import Answer, MetadataError, MetadataService
from app.machine.preemption import Notice

CLOUDS = {"aws": Aws, "azure": Azure, "gce": Gce}


@pytest.fixture(params=CLOUDS)
def both(request):
    """Each cloud with its server."""
    with getattr(metadata_servers, request.param)() as server:
        yield CLOUDS[request.param](MetadataService(server.address)), server


@pytest.fixture
def aws():
    """AWS with its server."""
    with metadata_servers.aws() as server:
        yield Aws(MetadataService(server.address)), server


@pytest.fixture
def azure():
    """Azure with its server."""
    with metadata_servers.azure() as server:
        yield Azure(MetadataService(server.address)), server


@pytest.fixture
def gce():
    """GCE with its server."""
    with metadata_servers.gce() as server:
        yield Gce(MetadataService(server.address)), server


def kinds(cloud):
    """The events' kinds, with what they are about."""
    return [(event.kind, event.what) for event in cloud.events()]


def test_nothing_to_tell(both):
    """As on any day."""
    cloud, _ = both
    assert cloud.is_here(2.0)
    assert list(cloud.events()) == []


@pytest.mark.parametrize("wrong", [{"status": 500}, {"status": 403}, {"to": "http://127.0.0.1:9/"}])
def test_what_is_no_answer(both, wrong):
    """No event is made of it."""
    cloud, server = both
    vars(server).update(wrong)
    with pytest.raises(MetadataError):
        list(cloud.events())
    with pytest.raises(MetadataError):
        cloud.is_here(2.0)


@pytest.mark.parametrize("junk", ["", "<html>TRUE</html>", '{"action"', "[[[", "\x00", "[" * 9000, "null", "3"])
def test_junk_is_no_answer(both, junk):
    """From a portal, a proxy, or another service at that address."""
    cloud, server = both
    server.junk = junk
    if isinstance(cloud, Aws):
        server.items["spot/instance-action"] = "x"
        if not junk:
            assert list(cloud.events()) == []
            return
    with pytest.raises(MetadataError):
        list(cloud.events())


WORDS = ["action", "time", "NotBefore", "Code", "State", "active", "terminate", "Events", "EventType", "Preempt"]
WORDS += ["Resources", "EventStatus", "Started", "vm", "TRUE", "Mon, 32 Foo 2026 99:00 GMT", "9999-12-31T23:59:59Z", ""]
VALUES = strategies.recursive(
    strategies.sampled_from([None, True, -1, 1e308, *WORDS]) | strategies.text(max_size=9),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.sampled_from(WORDS), inner),
    max_leaves=12,
)


class Told(MetadataService):
    """A service that tells the same whatever it is asked, but for the name of the machine and the token."""

    def __init__(self, text):
        super().__init__()
        self.text = text

    def ask(self, path, **options):
        name = "vm" if "compute/name" in path else "token" if path.endswith("token") else self.text
        return Answer(200, {"metadata-flavor": "Google"}, name)


@hypothesis.given(VALUES, strategies.sampled_from(list(CLOUDS.values())))
def test_whatever_is_told_makes_events_or_the_one_error(value, cls):
    """And a line of each event can be written."""
    for text in (json.dumps(value), json.dumps({"Events": [value], "action": "stop", "time": value}), str(value)):
        with contextlib.suppress(MetadataError):
            for event in cls(Told(text)).events():
                assert str(Notice(event.cloud, event.what, event.starts)).isprintable()


def test_another_clouds_service_is_not_taken_for_it(both):
    """All three are at the same address."""
    cloud, _ = both
    for name, cls in CLOUDS.items():
        if not isinstance(cloud, cls):
            with getattr(metadata_servers, name)() as other, pytest.raises(MetadataError):
                type(cloud)(MetadataService(other.address)).is_here(2.0)


def test_aws_takes_a_spot_instance(aws):
    """The action and when."""
    cloud, server = aws
    server.items["spot/instance-action"] = spot_action(120)
    (event,) = cloud.events()
    assert (event.kind, event.cloud) == ("end", "AWS")
    assert "terminate" in event.what
    assert event.starts == pytest.approx(time.time() + 120, abs=2)


def test_aws_token(aws):
    """One serves many questions; where it is not valid any more another one is fetched."""
    cloud, server = aws
    for _ in range(3):
        list(cloud.events())
    assert sum(line.startswith("PUT") for line in server.asked) == 1
    server.tokens.clear()
    assert list(cloud.events()) == []
    assert len(server.tokens) == 1


def test_aws_does_not_ask_for_tokens_for_ever(aws, monkeypatch):
    """One that is refused at once is an error."""
    cloud, server = aws
    monkeypatch.setattr(metadata_servers.MetadataServer, "tokens", property(lambda self: []), raising=False)
    del vars(server)["tokens"]
    with pytest.raises(MetadataError):
        list(cloud.events())


def test_aws_maintenance(aws):
    """With its time, which is days away as a rule; what is over is not told of."""
    cloud, server = aws
    server.items["events/maintenance/scheduled"] = scheduled(3600)
    (event,) = cloud.events()
    assert event.kind == "maintenance"
    assert "system-reboot" in event.what
    assert event.starts == pytest.approx(time.time() + 3600, abs=2)
    server.items["events/maintenance/scheduled"] = scheduled(3600, state="completed")
    assert list(cloud.events()) == []


def test_aws_takes_an_instance_whatever_else_it_can_not_tell(aws):
    """The end of the machine is told before the rest is asked for."""
    cloud, server = aws
    server.items |= {"spot/instance-action": spot_action(120), "events/maintenance/scheduled": "<html>"}
    found = cloud.events()
    assert next(found).kind == "end"
    with pytest.raises(MetadataError):
        next(found)


def test_aws_rebalance_is_advice(aws):
    """The instance may well stay."""
    cloud, server = aws
    server.items["events/recommendations/rebalance"] = '{"noticeTime": "2026-01-01T00:00:00Z"}'
    assert [kind for kind, _ in kinds(cloud)] == ["advice"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Preempt", "end"), ("Terminate", "end"), ("Reboot", "maintenance"), ("Redeploy", "maintenance"),
     ("Freeze", "advice"), ("Somersault", "advice")],
)  # fmt: skip
def test_azure_events(azure, name, kind):
    """Of this machine, whatever the case of its name; nothing is acknowledged."""
    cloud, server = azure
    server.events = [azure_event(name, 600, "other", "GPU-VM_3")]
    (event,) = cloud.events()
    assert (event.kind, event.cloud) == (kind, "Azure")
    assert event.starts == pytest.approx(time.time() + 600, abs=2)
    assert all(line.startswith("GET") for line in server.asked)


def test_azure_events_of_other_machines(azure):
    """Those of a whole scale set are told to each of its machines."""
    cloud, server = azure
    server.events = [azure_event("Preempt", 30, "gpu-vm_4"), {"EventType": "Preempt"}, 7, azure_event("Preempt", 30)]
    assert list(cloud.events()) == []


def test_azure_events_that_have_begun(azure):
    """A preemption still ends the machine; a reboot may be what it has just come back from."""
    cloud, server = azure
    server.events = [azure_event(kind, 0, server.vm, status="Started") for kind in ("Preempt", "Reboot")]
    assert [(event.kind, event.starts) for event in cloud.events()] == [("end", None), ("advice", None)]


def test_azures_first_answer_may_take_minutes(azure):
    """The first question turns the service on."""
    cloud, server = azure
    server.hang = 2.5
    cloud._vm = server.vm
    assert list(cloud.events()) == []
    with pytest.raises(MetadataError, match="no answer in 2 s"):
        list(cloud.events())


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("preempted", "TRUE", "end"),
        ("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE", "end"),
        ("maintenance-event", "MIGRATE_ON_HOST_MAINTENANCE", "advice"),
    ],
)
def test_gce_events(gce, key, value, kind):
    """A machine that is moved alive goes on."""
    cloud, server = gce
    server.values[key] = value
    assert [kind for kind, _ in kinds(cloud)] == [kind]
