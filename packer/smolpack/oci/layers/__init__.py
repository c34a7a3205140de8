"""Layers become one tree: who wins each name is found first, then the winners are streamed."""

from smolpack.oci.layers.source import LayersSource, Limits

__all__ = ["LayersSource", "Limits"]
