"""The course's modules, and a learner's way through them."""
