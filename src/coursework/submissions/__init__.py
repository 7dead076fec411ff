"""What a learner hands in: files, a notebook or a folder, found and read without running any."""
