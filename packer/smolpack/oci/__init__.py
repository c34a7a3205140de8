"""Container images, as the OCI image and distribution specifications have them: where they come
from (references, archives, layouts, registries, daemons) and what they are made of.

    with open_image("registry.example/app:1.2", Options(platform=…)) as image:
        pack(LayersSource(image.layers), …)
"""

from smolpack.oci.opening import open_image
from smolpack.oci.options import Limits, Options

__all__ = ["Limits", "Options", "open_image"]
