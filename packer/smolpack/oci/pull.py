"""Images of registries: the manifest and the configuration at once, all layers as soon as the first
one is read."""

import contextlib
import functools
import queue
import threading
from collections.abc import Sequence

from smolpack.errors import ImageError
from smolpack.oci.base import ContainerImage
from smolpack.oci.descriptor import MAX_DOCUMENT, Descriptor, parse_config, parse_manifest
from smolpack.oci.layout import layer_name, pair_layers
from smolpack.oci.options import Options
from smolpack.oci.reference import RegistryReference
from smolpack.oci.registry import Registry
from smolpack.oci.selection import check_platform, select_manifest
from smolpack.oci.stream import Extent, StoredLayer, whole
from smolpack.progress import bar

_AT_ONCE = 3
_REMEDY = "push the image again"


def open_remote(
    name: str, reference: RegistryReference, options: Options, opened: contextlib.ExitStack
) -> ContainerImage:
    """The image at its registry, readable until `opened` ends. Raises ImageError, RegistryError."""
    registry = Registry(reference, options.store, options.insecure, options.sleep)
    opened.callback(registry.close)

    def fetch(descriptor: Descriptor) -> bytes:
        return registry.manifest(f"{name}, manifest {descriptor.digest[:19]}", descriptor.digest)

    digest, data = registry.resolve(name)
    found = parse_manifest(name, data)
    digest, manifest = select_manifest(name, found, digest, fetch, options.platform)
    title = f"{name}, configuration"
    if manifest.config.size > MAX_DOCUMENT:
        raise ImageError(f"{title}: {manifest.config.size} bytes are too many for what it is")
    with registry.blob(title, manifest.config.digest, manifest.config.size, lambda _: None) as file:
        raw = file.read(MAX_DOCUMENT)
    config = parse_config(title, raw)
    check_platform(name, config.platform, options.platform)
    pairs = pair_layers(name, "manifest", manifest.layers, config)
    count = len(pairs)
    names = [layer_name(name, n, count, d.digest) for n, (d, _) in enumerate(pairs, 1)]
    pulled = _Pull(registry, names, manifest.layers, opened)
    layers = tuple(
        StoredLayer(
            name=names[number],
            diff_id=diff_id,
            size=descriptor.size,
            digest=None,  # compared when it came
            locate=functools.partial(pulled.extent, number),
            limits=options.limits,
            remedy=_REMEDY,
        )
        for number, (descriptor, diff_id) in enumerate(pairs)
    )
    return ContainerImage(name, digest, raw, layers)


class _Pull:
    """All layers of an image, fetched together when the first one is needed."""

    def __init__(
        self,
        registry: Registry,
        names: Sequence[str],
        layers: Sequence[Descriptor],
        opened: contextlib.ExitStack,
    ) -> None:
        self._registry = registry
        self._names = names
        self._layers = layers
        self._opened = opened
        self._lock = threading.Lock()
        self._extents: list[Extent] = []

    def extent(self, number: int) -> Extent:
        """Where a layer is, counted from 0."""
        with self._lock:
            if not self._extents:
                self._extents = self._fetch()
            return self._extents[number]

    def _fetch(self) -> list[Extent]:
        jobs: queue.SimpleQueue[tuple[str, Descriptor]] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[str, Extent | BaseException]] = queue.SimpleQueue()
        wanted = {
            layer.digest: (name, layer)
            for name, layer in zip(self._names, self._layers, strict=True)
        }
        for job in wanted.values():
            jobs.put(job)

        def work() -> None:
            with contextlib.suppress(queue.Empty):
                while True:
                    name, layer = jobs.get_nowait()
                    try:
                        done.put((layer.digest, self._one(name, layer)))
                    except BaseException as error:
                        done.put((layer.digest, error))

        for _ in range(_AT_ONCE):
            # Not a pool: whoever interrupts us does not want to wait for a server that is silent.
            threading.Thread(target=work, daemon=True).start()
        found = {}
        for _ in wanted:
            digest, result = done.get()
            if isinstance(result, BaseException):
                self._registry.close()
                raise result
            found[digest] = result
        return [found[layer.digest] for layer in self._layers]

    def _one(self, name: str, layer: Descriptor) -> Extent:
        with bar(layer.digest.removeprefix("sha256:")[:12], layer.size) as advance:
            file = self._registry.blob(name, layer.digest, layer.size, advance)
        return whole(self._opened.enter_context(file))
