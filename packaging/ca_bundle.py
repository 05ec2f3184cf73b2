"""Writes the certificates of certifi, without their comments, to a file: the roots that the image trusts."""

import re
import sys
from pathlib import Path

import certifi

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n")
FEWEST = 100


def main() -> None:
    certificates = CERTIFICATE.findall(Path(certifi.where()).read_text(encoding="ascii"))
    # An image that trusts nobody can't reach anything, and would be found out only by its users.
    if len(certificates) < FEWEST:
        sys.exit(f"certifi holds {len(certificates)} certificates, which can't be right")
    bundle = Path(sys.argv[1])
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(certificates), encoding="ascii")
    print(f"{bundle}: {len(certificates)} certificates, {bundle.stat().st_size} bytes")


if __name__ == "__main__":
    main()
