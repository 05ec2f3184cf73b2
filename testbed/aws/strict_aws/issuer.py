"""``python -m strict_aws.issuer DIRECTORY``: an OpenID Connect issuer.

Signs the claims on standard input as GitLab does (RS256) and prints the token.
The directory keeps its key; ``jwks.json`` in it is what it publishes, for
``--jwks``. A directory without a key gets one.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

KEY_ID = "testbed"


def sign(directory: Path, claims: dict[str, Any]) -> str:
    header = {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
    parts = [_encoded(json.dumps(part).encode()) for part in (header, claims)]
    signed = ".".join(parts).encode()
    signature = _key(directory).sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return ".".join([*parts, _encoded(signature)])


def _key(directory: Path) -> rsa.RSAPrivateKey:
    file = directory / "key.pem"
    if file.exists():
        key = load_pem_private_key(file.read_bytes(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_numbers()
    published = {
        "kty": "RSA",
        "kid": KEY_ID,
        "n": _encoded(public.n.to_bytes(256, "big")),
        "e": _encoded(public.e.to_bytes(3, "big")),
    }
    (directory / "jwks.json").write_text(json.dumps({"keys": [published]}))
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return key


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


if __name__ == "__main__":
    print(sign(Path(sys.argv[1]), json.load(sys.stdin)))
