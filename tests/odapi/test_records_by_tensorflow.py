"""TensorFlow and the OD API read the records that detbox writes without either."""

import contextlib

import numpy as np
import pytest

from app.dataset import card, records, sample
from app.dataset.preparation import prepare
from app.protos.label_map import print_label_map

pytestmark = pytest.mark.odapi


@pytest.fixture(scope="module")
def tf():
    """TensorFlow, with the Keras that the OD API needs if that is there too."""
    with contextlib.suppress(ImportError):
        import object_detection  # noqa: F401
    import tensorflow

    return tensorflow


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The folder of records of a small sample."""
    folder = tmp_path_factory.mktemp("sample")
    sample.write(folder / "set", images=10, seed=4)
    prepare(folder / "set", folder / "records")
    return folder / "records"


def test_tensorflow_reads_the_same_features(tf, prepared):
    """Framing, checksums and every feature agree between TensorFlow's reader and ours."""
    files = sorted(prepared.glob("*.tfrecord"))
    theirs = [tf.train.Example.FromString(raw.numpy()) for raw in tf.data.TFRecordDataset([str(f) for f in files])]
    ours = list(records.read(files))
    assert len(theirs) == len(ours) == 10
    for example, features in zip(theirs, ours, strict=True):
        assert set(example.features.feature) == set(features)
        for key, value in example.features.feature.items():
            kind = value.WhichOneof("kind")
            assert list(getattr(value, kind).value) == features[key], key


def test_our_reader_reads_tensorflows_records(tf, tmp_path):
    """Records of TensorFlow's own writer pass our checks."""
    values = {
        "b": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x", b""])),
        "f": tf.train.Feature(float_list=tf.train.FloatList(value=[0.25])),
        "i": tf.train.Feature(int64_list=tf.train.Int64List(value=[-3])),
    }
    with tf.io.TFRecordWriter(str(tmp_path / "r")) as writer:
        writer.write(tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString())
    assert list(records.read([tmp_path / "r"])) == [{"b": [b"x", b""], "f": [0.25], "i": [-3]}]


def test_the_od_api_decodes_them(tf, prepared, tmp_path):
    """Upstream's decoder gives the image, its boxes and the classes of our label map."""
    pytest.importorskip("object_detection", reason="the patched OD API is not installed")
    from object_detection.data_decoders.tf_example_decoder import TfExampleDecoder
    from object_detection.utils import label_map_util

    made = card.read(prepared)
    label_map = tmp_path / "label_map.pbtxt"
    label_map.write_text(print_label_map(made.class_names))
    assert label_map_util.get_label_map_dict(str(label_map)) == {n: i for i, n in enumerate(made.classes, start=1)}
    decoder = TfExampleDecoder(label_map_proto_file=str(label_map))
    files = sorted(prepared.glob("*.tfrecord"))
    raws = tf.data.TFRecordDataset([str(file) for file in files])
    for raw, ours in zip(raws, records.read(files), strict=True):
        decoded = {key: value.numpy() for key, value in decoder.decode(raw).items()}
        assert decoded["image"].shape == (256, 256, 3)
        wanted = np.stack([ours[f"image/object/bbox/{key}"] for key in ("ymin", "xmin", "ymax", "xmax")], 1)
        np.testing.assert_allclose(decoded["groundtruth_boxes"], wanted)
        assert decoded["groundtruth_classes"].tolist() == ours["image/object/class/label"]
        np.testing.assert_allclose(decoded["groundtruth_area"], ours["image/object/area"])
        assert decoded["source_id"] == ours["image/source_id"][0]
