"""A machine made ready for the course, and looked at."""
