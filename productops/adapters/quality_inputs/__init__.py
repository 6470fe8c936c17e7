"""Reads what test, coverage, security and performance tools write: ``read`` one input, ``read_all`` of a folder or archive."""

from productops.adapters.quality_inputs.folders import read_all, read_archive
from productops.adapters.quality_inputs.formats import FORMATS, detect, read

__all__ = ["FORMATS", "detect", "read", "read_all", "read_archive"]
