"""What of the input is fitted to the machine that reads it."""

import pytest

from app.pipeline.readers import Host

GB = 10**9


def reader(make, cores=2, memory=16 * GB, record=100_000, images=100_000, **values):
    pipeline = make(reading_host=Host(cores=cores, memory=memory, record=record), num_train_images=images, **values)
    return pipeline.config.train_input_reader, " ".join(pipeline.notes)


@pytest.mark.parametrize(
    ("cores", "batch", "parallel"),
    [(2, 8, 1), (2, 2, 4), (2, 1, 8), (16, 8, 8), (16, 64, 1), (64, 64, 4), (64, 8, 8)],
)
def test_images_in_work_go_by_the_cores(make, cores, batch, parallel):
    """Four a core, at least a batch, and never more than upstream's eight batches; what is lowered is said."""
    found, notes = reader(make, cores, batch_size=batch)
    assert found.num_parallel_batches == parallel
    assert ("num_parallel_batches" in notes) == (parallel < 8)


def test_the_shuffle_buffer_goes_by_the_memory(make):
    """Records of 4 MB: 2048 of them would take 8 GB of 16; of 100 kB they all fit, and so does a small set."""
    found, notes = reader(make, record=4_000_000)
    assert found.shuffle_buffer_size == 250 and "shuffle_buffer_size" in notes and "4.0 MB" in notes
    assert reader(make)[0].shuffle_buffer_size == 2048
    assert reader(make, record=4_000_000, images=50)[0].shuffle_buffer_size == 50
    assert reader(make, record=4_000_000, images=300)[0].shuffle_buffer_size == 250
    assert reader(make, record=0)[0].shuffle_buffer_size == 2048


def test_a_given_value_wins(make, write_model):
    """The model's own, or one of config_override, whatever the machine; and nothing is said of it."""
    given = "train_input_reader { num_parallel_batches: 5 shuffle_buffer_size: 900 }"
    for values in ({"config_override": given}, {"model": write_model("tiny", given)}):
        found, notes = reader(make, record=40_000_000, **values)
        assert (found.num_parallel_batches, found.shuffle_buffer_size) == (5, 900)
        assert "num_parallel_batches" not in notes and "shuffle_buffer" not in notes


def test_the_batch_is_that_which_is_trained(make):
    """One that config_override gives counts."""
    found, _ = reader(make, batch_size=8, config_override="train_config { batch_size: 2 }")
    assert found.num_parallel_batches == 4
