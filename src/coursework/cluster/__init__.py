"""A whole Kubernetes in one container: started, reached, filled with images, stopped."""

from coursework.cluster.api import Api, ApiError
from coursework.cluster.images import load_images
from coursework.cluster.node import Node

__all__ = ["Api", "ApiError", "Node", "load_images"]
