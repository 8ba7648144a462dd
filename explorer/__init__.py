"""layerscope: look inside running deep networks."""

__version__ = "0.1.0"
