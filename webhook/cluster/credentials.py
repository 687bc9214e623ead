"""Where the API server is and who we are to it, as far as a kubeconfig and the environment say."""

import os
import urllib.request
from pathlib import Path
from time import monotonic
from typing import Any, Final

import structlog
from yarl import URL

from webhook.cluster import errors

log = structlog.get_logger(__name__)

_TOKEN_AGE: Final = 60.0
"""Seconds after which a token file or the expiry of a token is looked at again."""


class Keeper:
    """Keeps the token that a kubeconfig leads to fresh: token files, exec plugins, OIDC.

    ``loader`` and ``configuration`` are those of the client library.
    """

    def __init__(self, loader: Any, configuration: Any) -> None:
        self._loader = loader
        self._configuration = configuration
        self._loaded_at = monotonic()

    async def refresh(self, _: Any) -> None:
        """Look again when the last look was some time ago; called before each request."""
        if monotonic() - self._loaded_at >= _TOKEN_AGE:
            await self._load()

    async def renew(self) -> bool:
        """Replace credentials that were refused; False when there are no others."""
        if hasattr(self._loader, "exec_plugin_expiry"):
            del self._loader.exec_plugin_expiry  # it is not valid, whatever the plugin said
        return await self._load()

    async def _load(self) -> bool:
        self._loaded_at = monotonic()
        try:
            await self._loader.load_and_set(self._configuration)
        except Exception as error:  # a plugin of the user's may fail in any way
            log.warning("credentials_not_renewed", error=str(error))
            return False
        return True


def proxy_from_environment(base: str) -> str | None:
    """Return the proxy that HTTPS_PROXY and NO_PROXY ask for on the way to ``base``."""
    url = URL(base)
    if urllib.request.proxy_bypass(url.host or ""):
        return None
    return urllib.request.getproxies().get(url.scheme)


def existing(kubeconfig: Path | None) -> str:
    """Return the kubeconfig paths to read.

    Raises:
        errors.NotConfigured: none of them is there.

    """
    found = str(kubeconfig or os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    if not any(Path(part).expanduser().is_file() for part in found.split(os.pathsep) if part):
        raise errors.NotConfigured(
            f"no kubeconfig at {found}: name one with --kubeconfig or $KUBECONFIG"
        )
    return found
