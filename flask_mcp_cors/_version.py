"""The version of the distribution, written here and nowhere else."""

__version__ = "1.0.0"
