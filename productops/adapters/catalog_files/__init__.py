"""The catalog as YAML files: read, checked, and every problem named with file and line."""

from productops.adapters.catalog_files.loader import LoadedEntry, load_catalog

__all__ = ["LoadedEntry", "load_catalog"]
