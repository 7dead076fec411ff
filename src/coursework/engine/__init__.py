"""Where containers run: the user's own Docker, or a private one that the course starts."""

from coursework.engine.connection import Engine, find_engine, start_engine

__all__ = ["Engine", "find_engine", "start_engine"]
