"""The release commands, against a real API; flows are carried out by threads."""
