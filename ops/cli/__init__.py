"""The command line of an installation: what the dashboard does, through the same operations."""
