"""nbgrader on the course's modules: stock commands, with the trusted grader in Execute's place."""
