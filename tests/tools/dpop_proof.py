#!/usr/bin/env python3
"""Makes DPoP proofs (RFC 9449) with a library that knows nothing of us.

Reads JSON from stdin: {"key": private JWK or null, "proofs": [{"header": {…},
"claims": {…}, "sign_with": private JWK}]}. What a proof names replaces what a
good one has; null leaves it out.
Prints {"key": private JWK, "jwk": public JWK, "other": another private JWK,
"proofs": [...]}.
"""

import json
import sys

from joserfc import jws
from joserfc.jwk import ECKey


def public(key):
    return key.as_dict(private=False)


def merged(base, changes):
    both = {**base, **changes}
    return {name: value for name, value in both.items() if value is not None}


def main():
    given = json.load(sys.stdin)
    key = ECKey.import_key(given["key"]) if given.get("key") else ECKey.generate_key("P-256")
    proofs = []
    for wanted in given.get("proofs", []):
        signer = ECKey.import_key(wanted["sign_with"]) if wanted.get("sign_with") else key
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": public(key)}
        claims = merged({}, wanted.get("claims", {}))
        proofs.append(
            jws.serialize_compact(
                merged(header, wanted.get("header", {})), json.dumps(claims), signer
            )
        )
    json.dump(
        {
            "key": key.as_dict(private=True),
            "jwk": public(key),
            "other": ECKey.generate_key("P-256").as_dict(private=True),
            "proofs": proofs,
        },
        sys.stdout,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
