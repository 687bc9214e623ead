"""What one client may ask of the server before it is turned away."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the admission server: sizes in bytes, times in seconds."""

    body: int = 7 * MIB
    """Longest review. The API server sends up to object + oldObject + 1 MiB."""
    line: int = 8 * 1024
    """Longest request line."""
    field: int = 8 * 1024
    """Longest header."""
    fields: int = 64
    """Most headers of a request."""
    head_seconds: float = 10.0
    """From the first byte of a request to the end of its head."""
    body_seconds: float = 10.0
    """From the end of the head to the last byte of the review."""
    write_seconds: float = 30.0
    """How long a client may leave an answer unread."""
    keepalive_seconds: float = 120.0
    """Life of an idle connection. The API server drops its idle ones after 90 s and never
    repeats a POST that met a closed one, so it has to be the first to let go."""
    linger_seconds: float = 2.0
    """How long the rest of a refused request is read and thrown away, so that the refusal
    is not lost in a connection reset."""
    handshake_seconds: float = 5.0
    """Longest TLS handshake."""
    shutdown_seconds: float = 2.0
    """How long the end of a TLS connection waits for the client's goodbye."""
    in_flight: int = 256
    """Reviews whose body is still arriving; beyond it the answer is 429."""
    buffered: int = 64 * MIB
    """Bytes that all arriving reviews may claim together; beyond it the answer is 429."""
