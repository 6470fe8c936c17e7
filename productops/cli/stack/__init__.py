"""The local stack: starts, watches, restarts and ends the processes of one machine."""
