"""ablate: which inference optimizations to switch on, measured domain by domain."""

__version__ = "0.1.0"
