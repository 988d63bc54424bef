"""What can go wrong with a file that load is read from."""


class LoadFileError(ValueError):
    """A replay, schedule or payload file that cannot be trusted; the message names the file and, where known, the line."""
