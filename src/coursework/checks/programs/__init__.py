"""Programs of ours that run in containers beside the answer; they import nothing but each other."""
