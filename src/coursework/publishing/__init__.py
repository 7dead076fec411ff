"""The site: pages derived from the catalogue, lessons and exercises for MkDocs."""
