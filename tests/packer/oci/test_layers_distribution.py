"""Images as people build them, of distribution packages: what is packed is what umoci unpacks."""

import shutil
import tarfile
from pathlib import Path

import pytest
from roots import distribution
from roots.cache import RecipeError

import umoci
from smolpack.oci import Options, open_image
from smolpack.oci.layers import LayersSource
from support import pack_image
from umoci import ROOTLESS, needs_umoci


@needs_umoci
@pytest.mark.skipif(ROOTLESS, reason="only root can unpack a distribution's owners and devices")
@pytest.mark.parametrize("name", distribution.PACKAGES)
def test_image_of_packages(
    tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Built in a minute or two the first time, from the distribution's mirror."""
    with monkeypatch.context() as patched:
        patched.delenv("XDG_CACHE_HOME")
        patched.delenv("HOME")
        try:
            archive = distribution.image(name)
        except RecipeError as error:
            pytest.skip(str(error))
    with open_image(str(archive), options) as image:
        ours = umoci.of_image(pack_image(LayersSource(image.layers), tmp_path / "image"))
    with tarfile.open(archive) as stored:
        stored.extractall(tmp_path / "layout", filter="data")
    theirs = umoci.unpack(tmp_path / "layout", tmp_path / "rootfs")
    shutil.rmtree(tmp_path / "rootfs")
    found = umoci.differences(ours, theirs)
    assert not found, "\n".join(found[:20])
    assert len(ours) > 4000
