"""What a log may tell of an error of ours."""

import traceback


def fields(error: BaseException) -> dict[str, object]:
    """Return the type and the frames, as fields of a log event.

    Not the message: it may quote the object of a review, and an object may hold a secret.
    """
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__name__, "where": where}
