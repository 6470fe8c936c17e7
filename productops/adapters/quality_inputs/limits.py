"""How much of what others wrote is read. Past a limit the input is refused, never cut."""

from __future__ import annotations

FILE_BYTES_MAX = 256 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
HEAD_BYTES = 64 * 1024

# XML. A token is one tag with its attributes, one comment, one processing instruction: the parser holds it whole.
DEPTH_MAX = 200
ELEMENTS_MAX = 20_000_000
TOKEN_BYTES_MAX = 1024 * 1024
ROOTS_MAX = 10_000

# JSON is held whole: the number of its values bounds the memory (about 100 bytes each).
JSON_VALUES_MAX = 8_000_000
LINE_CHARACTERS_MAX = 1024 * 1024

CASES_MAX = 2_000_000
FINDINGS_MAX = 1_000_000
COMPONENTS_MAX = 1_000_000
SAMPLES_MAX = 5_000_000
SERIES_MAX = 10_000
COVERED_LINES_MAX = 20_000_000
NAME_CHARACTERS_MAX = 1_000
NOTES_MAX = 200

# Folders and archives.
FILES_MAX = 10_000
UNPACKED_BYTES_MAX = 1024 * 1024 * 1024
ARCHIVE_RATIO_MAX = 200.0
ARCHIVE_RATIO_FREE_BYTES = 16 * 1024 * 1024
