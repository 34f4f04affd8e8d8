"""An agent's own key, and what it signs to say who it is (RFC 7523).

    assertion.py new PRIVATE.pem PUBLIC.pem
    assertion.py sign PRIVATE.pem AGENT ISSUER

AGENT is its name in the registry, and ISSUER the `issuer` of the auth mount.
"""

import os
import sys
import time
import uuid

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def new(private, public):
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with open(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    with open(public, "wb") as file:
        file.write(
            key.public_key().public_bytes(
                serialization.Encoding.PEM,
                serialization.PublicFormat.SubjectPublicKeyInfo,
            )
        )


def sign(private, agent, issuer):
    now = int(time.time())
    claims = {
        "iss": agent,
        "sub": agent,
        "aud": issuer,
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid.uuid4()),
    }
    with open(private, "rb") as file:
        print(jwt.encode(claims, file.read(), algorithm="EdDSA"))


{"new": new, "sign": sign}[sys.argv[1]](*sys.argv[2:])
