"""`python -m webhook` is `slipway`."""

from webhook.cli import main

main()
