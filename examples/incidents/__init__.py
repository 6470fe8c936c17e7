"""A shop that depends on things, so that they can be broken: a payments service, a flag, a disk; and what breaks and mends them."""
