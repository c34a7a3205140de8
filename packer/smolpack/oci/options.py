"""How images are opened: which platform, which limits, over what kind of connection."""

from collections.abc import Callable
from dataclasses import dataclass, field

from smolpack.oci.platform import Platform, host_platform
from smolpack.oci.store import Store, default_store

DEFAULT_MAX_LAYER_SIZE = 64 << 30
DEFAULT_MAX_RATIO = 200

# Up to this size, in bytes, a layer may be whatever ratio: zeros compress very well.
RATIO_FREE = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Against decompression bombs: bytes of one uncompressed layer, and, for layers above
    RATIO_FREE, how many times larger it may be than what is stored."""

    max_layer_size: int = DEFAULT_MAX_LAYER_SIZE
    max_ratio: int = DEFAULT_MAX_RATIO


@dataclass(frozen=True, kw_only=True)
class Options:
    """`insecure` allows plain HTTP and certificates that nobody vouches for; `store` is the cache
    that blobs of registries and of standard input go to; `sleep` waits so many seconds before
    something is tried again (default: until then or the end)."""

    platform: Platform = field(default_factory=host_platform)
    limits: Limits = field(default_factory=Limits)
    insecure: bool = False
    store: Store = field(default_factory=default_store)
    sleep: Callable[[float], object] | None = None
