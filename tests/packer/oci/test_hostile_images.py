"""Documents and archives of any form: an image, or one line that says why not."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from layouts import LOWER, OCI, digest_of, docker_archive, layers_of
from smolpack.errors import ImageError, SmolpackError
from smolpack.oci import Options
from smolpack.oci.descriptor import parse_config, parse_manifest
from smolpack.oci.platform import parse_platform

_KEYS = [
    "schemaVersion",
    "mediaType",
    "manifests",
    "config",
    "layers",
    "digest",
    "size",
    "platform",
    "os",
    "architecture",
    "annotations",
    "rootfs",
    "diff_ids",
    "fsLayers",
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(_KEYS),
            inner | st.sampled_from([f"{OCI}config.v1+json", digest_of(b""), "linux"]),
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(_JSON)
def test_documents_of_any_form(fields: object) -> None:
    for parse in (parse_manifest, parse_config):
        try:
            parse("it", json.dumps(fields).encode())
        except ImageError as error:
            assert str(error).startswith("it: ")


@settings(max_examples=200)
@given(data=st.data())
def test_archives_of_any_form(data: st.DataObject, tmp_path_factory: Any) -> None:
    archive = bytearray(docker_archive({"app:1": [LOWER]}, {"link": "manifest.json"}))
    for _ in range(data.draw(st.integers(1, 6))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "any.tar"
    path.write_bytes(bytes(archive[: data.draw(st.integers(0, len(archive)))]))
    try:
        layers_of(str(path), Options(platform=parse_platform("linux/amd64")))
    except SmolpackError as error:
        assert str(path) in str(error)
