#!/usr/bin/env python3
"""Checks the status of a JWT as an offline verifier does
(draft-ietf-oauth-status-list-20 8.3), with libraries that know nothing of us.

usage: status_list.py --jwks URL --token JWT --issuer ISS

Verifies the JWT, fetches the list that it names, verifies that with another
library, and prints the status as a number.
"""

import argparse
import base64
import json
import sys
import time
import urllib.request
import warnings
import zlib

import jwt
from joserfc import jwt as jose
from joserfc.jwk import KeySet

ALGORITHMS = ["EdDSA", "Ed25519", "ES256", "RS256"]


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.headers, answer.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("jwks", "token", "issuer"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    warnings.simplefilter("ignore")

    keys = json.loads(fetch(given.jwks)[1])
    kid = jwt.get_unverified_header(given.token)["kid"]
    key = next(key for key in jwt.PyJWKSet.from_dict(keys).keys if key.key_id == kid)
    claims = jwt.decode(
        given.token,
        key,
        algorithms=["EdDSA", "ES256", "RS256"],
        issuer=given.issuer,
        options={"verify_aud": False},
    )
    reference = claims["status"]["status_list"]

    headers, body = fetch(reference["uri"])
    if headers["Content-Type"] != "application/statuslist+jwt":
        sys.exit(f"the media type is {headers['Content-Type']}")
    if "max-age=" not in (headers["Cache-Control"] or ""):
        sys.exit("the list cannot be cached")
    found = jose.decode(body.decode(), KeySet.import_key_set(keys), algorithms=ALGORITHMS)
    if found.header["typ"] != "statuslist+jwt":
        sys.exit(f"the type is {found.header['typ']}")
    if found.claims["sub"] != reference["uri"]:
        sys.exit("the list is another one")
    if not found.claims["iat"] <= time.time() + 5 < found.claims["exp"] + 5:
        sys.exit("the list is not valid now")
    if found.claims["ttl"] <= 0:
        sys.exit("the list has no positive ttl")

    bits, text = (found.claims["status_list"][name] for name in ("bits", "lst"))
    statuses = zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    place = reference["idx"] * bits
    if place // 8 >= len(statuses):
        sys.exit("the place is not in the list")
    print(statuses[place // 8] >> place % 8 & (1 << bits) - 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
