#!/usr/bin/env python3
"""Validates the OpenAPI 3 document on stdin.

Prints the number of its paths; else says on stderr what is wrong and where,
and exits with 1. `--below PREFIX` looks at the paths under a mount only and
checks in addition that each operation and parameter is described.
"""

import argparse
import json
import sys

from openapi_spec_validator import OpenAPIV30SpecValidator

METHODS = ("get", "put", "post", "delete", "patch")


def undescribed(document, prefix):
    """What a reader would find no words for."""
    for path, item in document["paths"].items():
        if not path.startswith(prefix):
            continue
        for parameter in item.get("parameters", []):
            if not parameter.get("description"):
                yield f"{path}: parameter {parameter['name']} has no description"
        for method in METHODS:
            operation = item.get(method)
            if operation is None:
                continue
            if not (operation.get("summary") or item.get("description")):
                yield f"{path}: {method} has no summary"
            for parameter in operation.get("parameters", []):
                if parameter["name"] != "list" and not parameter.get("description"):
                    yield f"{path}: {method}: parameter {parameter['name']} has no description"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--below", metavar="PREFIX")
    given = parser.parse_args()

    document = json.load(sys.stdin)
    problems = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in OpenAPIV30SpecValidator(document).iter_errors()
    ]
    paths = [path for path in document["paths"] if path.startswith(given.below or "/")]
    if given.below:
        problems += undescribed(document, given.below)
        if not paths:
            problems.append(f"no path begins with {given.below}")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(len(paths))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
