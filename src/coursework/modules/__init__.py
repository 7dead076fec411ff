"""The course's modules: the catalogue, their files, and a learner's way through them."""
