"""The catalog as YAML files: read, checked, and every problem named with file and line."""

from productops.adapters.catalog_files.loader import LoadedEntry, load_catalog
from productops.adapters.catalog_files.quality_policy import read_policy

__all__ = ["LoadedEntry", "load_catalog", "read_policy"]
