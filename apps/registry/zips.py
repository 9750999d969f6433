"""What a ZIP file says of its table of contents: zipfile makes an object of each entry before one can count them."""

import zipfile
from typing import IO, Any

MOST_BYTES = 8 * 2**20  # of a table of contents; with the shortest names 180,000 entries and 60 MB of memory
_ENTRIES, _SIZE = 4, 5  # places in the record at the end of the file


def table_of_contents(file: IO[bytes]) -> tuple[int, int]:
    """Entries and bytes. Raises zipfile.BadZipFile.

    The number may be a lie. The bytes are not: zipfile reads as many and no more. That both look at the same record is
    why this asks a function of zipfile's own.
    """
    this: Any = zipfile
    record = this._EndRecData(file)
    if not record:
        raise zipfile.BadZipFile("File is not a zip file")
    return record[_ENTRIES], record[_SIZE]
