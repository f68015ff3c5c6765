"""The watch for preemption: which cloud this machine is on, and what ends training."""

import logging
import time

import metadata_servers
import pytest
from fake_services import wait_for
from metadata_servers import azure_event, scheduled, spot_action

from app.machine import preemption
from app.machine.clouds import Aws, Azure, Gce
from app.machine.preemption import PreemptionWatch, find_cloud, read_dmi

VARIABLES = {cls.__name__.lower(): cls.variable for cls in (Aws, Azure, Gce)}


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    """Asked every few milliseconds; nowhere but at the tests' own servers."""
    for cls in (Aws, Azure, Gce):
        monkeypatch.setattr(cls, "every", 0.02)
    monkeypatch.setattr(preemption, "ADDRESS", "127.0.0.1:9")


@pytest.fixture
def dmi(tmp_path):
    """`dmi(sys_vendor=...)` makes the table of a machine's firmware and returns its folder."""

    def make(**values):
        for name, text in values.items():
            (tmp_path / name).write_text(f"{text}\n")
        return tmp_path

    return make


def watch(name, server, **options):
    """A watch of this cloud at this server."""
    return PreemptionWatch(name, {VARIABLES[name]: f"http://{server.address}"}, **options).start()


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ({"sys_vendor": "Amazon EC2", "product_name": "g5.xlarge"}, "aws"),
        ({"sys_vendor": "Xen", "product_name": "HVM domU", "bios_version": "4.11.amazon"}, "aws"),
        ({"sys_vendor": "Google", "product_name": "Google Compute Engine"}, "gce"),
        ({"sys_vendor": "Microsoft Corporation", "chassis_asset_tag": preemption.AZURE_TAG}, "azure"),
        ({"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"}, ""),
        ({"sys_vendor": "Google", "product_name": "Coral"}, ""),
        ({"sys_vendor": "Xen", "product_name": "HVM domU", "bios_version": "4.17"}, ""),
        ({"sys_vendor": "Dell Inc.", "product_name": "PowerEdge R750"}, ""),
        ({"sys_vendor": ""}, None),
        ({}, None),
    ],
)
def test_the_firmware_tells_the_cloud(dmi, table, name):
    """Empty: of none of the three; None: it says nothing."""
    assert read_dmi(dmi(**table)) == name


def test_a_machine_of_ones_own_asks_nobody(dmi):
    """Its firmware says that it is on none of the clouds."""
    with metadata_servers.gce() as server:
        found = find_cloud("auto", {}, dmi(sys_vendor="Dell Inc."))
        assert (found, server.asked) == (None, [])


def test_a_machine_without_a_table_asks_each_once(monkeypatch):
    """A sandbox that hides it; who answers is asked from then on."""
    for name in VARIABLES:
        with getattr(metadata_servers, name)() as server:
            monkeypatch.setattr(preemption, "ADDRESS", server.address)
            assert type(find_cloud("auto", {}, preemption.Path("/nowhere"))).__name__.lower() == name
    monkeypatch.setattr(preemption, "ADDRESS", "127.0.0.1:9")
    started = time.monotonic()
    assert find_cloud("auto", {}, preemption.Path("/nowhere")) is None
    assert time.monotonic() - started < 3


def test_the_setting_and_an_address_name_the_cloud(dmi):
    """The setting above all."""
    table = dmi(sys_vendor="Amazon EC2")
    assert isinstance(find_cloud("gce", {}, table), Gce)
    assert isinstance(find_cloud("auto", {}, table), Aws)
    assert isinstance(find_cloud("auto", {"GCE_METADATA_HOST": "127.0.0.1:9"}, dmi(sys_vendor="Dell Inc.")), Gce)


def test_an_address_that_is_none_is_passed_over(caplog):
    """It may be meant for another program: training goes on, and a line says which is asked."""
    with caplog.at_level(logging.WARNING, "app"):
        find_cloud("gce", {"GCE_METADATA_HOST": "file:///etc/passwd"})
    assert "GCE_METADATA_HOST" in caplog.text


def test_off_asks_nobody(dmi):
    """Not even where the firmware knows the cloud."""
    with metadata_servers.aws() as server:
        environ = {VARIABLES["aws"]: f"http://{server.address}"}
        seen = PreemptionWatch("off", environ, dmi=dmi(sys_vendor="Amazon EC2")).start()
        time.sleep(0.3)
        assert (seen(), server.asked) == (None, [])


def test_notice_of_each_cloud():
    """What, and when it ends."""
    with metadata_servers.aws() as server:
        seen = watch("aws", server)
        wait_for(lambda: len(server.asked) > 6)
        assert seen() is None
        server.items["spot/instance-action"] = spot_action(120)
        wait_for(seen)
        assert str(seen()).startswith("AWS takes this machine (terminate) at ")
        assert str(seen()).endswith(" UTC")
        assert 110 < seen().seconds_left() <= 120
    with metadata_servers.azure() as server:
        seen = watch("azure", server)
        server.events = [azure_event("Preempt", 30, server.vm)]
        wait_for(seen)
        assert str(seen()).startswith("Azure takes this machine at ")
    with metadata_servers.gce() as server:
        seen = watch("gce", server)
        server.values["preempted"] = "TRUE"
        wait_for(seen)
        assert (str(seen()), seen().seconds_left()) == ("GCE takes this machine", None)


def test_maintenance_ends_training_when_it_is_near(caplog):
    """Weeks before, it is a line in the log, once; two minutes before, the end; afterwards it is over."""
    with metadata_servers.aws() as server, caplog.at_level(logging.INFO, "app"):
        server.items["events/maintenance/scheduled"] = far = scheduled(9 * 86400)
        seen = watch("aws", server)
        wait_for(lambda: "training goes on" in caplog.text and len(server.asked) > 12)
        assert caplog.text.count("training goes on") == 1
        server.items["events/maintenance/scheduled"] = scheduled(-600)
        wait_for(lambda: caplog.text.count("training goes on") == 2)
        assert seen() is None
        server.items["events/maintenance/scheduled"] = far.replace("GMT", "GMT, or so")
        asked = len(server.asked)
        wait_for(lambda: len(server.asked) > asked + 6)
        assert seen() is None
        server.items["events/maintenance/scheduled"] = scheduled(90)
        wait_for(seen)
        assert "maintenance of this machine (system-reboot) at " in str(seen())


def test_a_service_that_does_not_answer_is_told_of_once(caplog):
    """With what a container on EC2 needs; when it answers the watch goes on."""
    with metadata_servers.aws() as server, caplog.at_level(logging.INFO, "app"):
        server.to = "http://127.0.0.1:9/"
        seen = watch("aws", server, patience=0.2)
        wait_for(lambda: "status 302" in caplog.text)
        server.to = ""
        wait_for(lambda: "is asked for notice" in caplog.text)
        server.items["spot/instance-action"] = spot_action(120, "stop")
        wait_for(seen)
        assert "(stop)" in str(seen())
        assert len([one for one in caplog.records if one.levelname == "WARNING"]) == 1
    caplog.clear()
    with caplog.at_level(logging.INFO, "app"):
        watch("aws", server, patience=0.2)  # which is closed
        wait_for(lambda: "no notice will be seen" in caplog.text)
    assert "hop limit of 2" in caplog.text
