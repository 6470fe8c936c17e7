"""The candidate judge against the incumbents, on simulated services."""
