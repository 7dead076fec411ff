"""Base images: pulled, built, bundled and loaded."""
