"""Container images, as the OCI image and distribution specifications have them: where they come
from (references, archives, layouts, registries, daemons) and what they are made of."""
