"""Many runs and many releases at once: each executed exactly once, all ending rightly."""
