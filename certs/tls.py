"""The server's side of TLS: contexts, and new certificates on a context that is in use."""

import os
import ssl

from certs.leaf import Leaf


def server_context(minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """Make a context for HTTP/1.1 over TLS; it serves nothing before ``load``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = minimum
    context.set_alpn_protocols(["http/1.1"])
    return context


def load(context: ssl.SSLContext, leaf: Leaf) -> None:
    """Serve with ``leaf`` from the next handshake on; connections that are open stay.

    OpenSSL reads certificates from files only, so they pass through memory that has no name in
    any file system and is gone at the end of this call.
    """
    with os.fdopen(os.memfd_create("slipway-leaf", os.MFD_CLOEXEC), "wb") as file:
        file.write(leaf.chain_pem + leaf.key_pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
