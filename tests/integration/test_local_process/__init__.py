"""Instances as real processes: found, judged alive, asked and ended; versions from folders, git and wheels."""
