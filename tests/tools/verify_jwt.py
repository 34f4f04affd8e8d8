#!/usr/bin/env python3
"""Verifies a JWT with two libraries that know nothing of each other.

usage: verify_jwt.py --jwks URL|FILE|JSON --token JWT --audience AUD --issuer ISS

Prints the claims as JSON if both accept the token and read the same from it;
else says on stderr which refused it and why, and exits with 1.
"""

import argparse
import json
import os
import sys
import urllib.request
import warnings

import jwt
from joserfc import jwt as jose
from joserfc.jwk import KeySet

ALGORITHMS = ["EdDSA", "ES256", "RS256"]
# The name that RFC 9864 gives to EdDSA with this curve.
JOSE_ALGORITHMS = [*ALGORITHMS, "Ed25519"]


def load(source):
    """The key set, from wherever it is."""
    if source.startswith(("http://", "https://")):
        with urllib.request.urlopen(source, timeout=10) as answer:
            return json.load(answer)
    if os.path.exists(source):
        with open(source, encoding="utf-8") as file:
            return json.load(file)
    return json.loads(source)


def with_pyjwt(keys, token, audience, issuer):
    kid = jwt.get_unverified_header(token).get("kid")
    key = next(key for key in jwt.PyJWKSet.from_dict(keys).keys if key.key_id == kid)
    return jwt.decode(
        token,
        key,
        algorithms=ALGORITHMS,
        audience=audience,
        issuer=issuer,
        options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]},
    )


def with_joserfc(keys, token, audience, issuer):
    decoded = jose.decode(token, KeySet.import_key_set(keys), algorithms=JOSE_ALGORITHMS)
    jose.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
        jti={"essential": True},
    ).validate(decoded.claims)
    return decoded.claims


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("jwks", "token", "audience", "issuer"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()

    # EdDSA is the name that most libraries know, deprecated (RFC 9864) or not.
    warnings.simplefilter("ignore")
    keys = load(given.jwks)
    found = []
    for name, verify in (("PyJWT", with_pyjwt), ("joserfc", with_joserfc)):
        try:
            found.append(verify(keys, given.token, given.audience, given.issuer))
        except Exception as error:  # each library has its own kinds
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    if len(found) < 2:
        return 1
    if found[0] != found[1]:
        print(f"PyJWT read {found[0]}, joserfc {found[1]}", file=sys.stderr)
        return 1
    json.dump(found[0], sys.stdout, indent=2, sort_keys=True)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
