"""The engine of the course: it reads submissions, runs them in containers and judges them.

Lessons talk to it through one word, `check`; graders through `coursework.checks`.
"""
