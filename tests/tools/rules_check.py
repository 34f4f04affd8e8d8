#!/usr/bin/env python3
"""Checks Prometheus files, by path: scrape configurations and rules.

Prints the expressions of all rules, one on a line. Says on stderr what is
wrong, and exits with 1.
"""

import sys

import yaml

problems = []


def wrong(where, what):
    problems.append(f"{where}: {what}")


def rule(where, one):
    name = one.get("alert", "")
    if not name or not isinstance(one.get("expr"), str):
        wrong(where, f"no alert or no expression: {one}")
        return
    if one.get("labels", {}).get("severity") not in ("info", "warning", "critical"):
        wrong(name, "no severity")
    if not one.get("annotations", {}).get("summary"):
        wrong(name, "no summary")
    if one["expr"].count("(") != one["expr"].count(")"):
        wrong(name, "parentheses do not match")
    unknown = set(one) - {"alert", "expr", "for", "labels", "annotations", "keep_firing_for"}
    if unknown:
        wrong(name, f"unknown: {sorted(unknown)}")
    print(" ".join(one["expr"].split()))


for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    names = []
    for group in document.get("groups", []):
        for one in group["rules"]:
            names.append(one.get("alert"))
            rule(f"{path}: {group['name']}", one)
    if len(names) != len(set(names)):
        wrong(path, "an alert comes twice")
    for scrape in document.get("scrape_configs", []):
        if not scrape["metrics_path"].endswith("/metrics"):
            wrong(path, "does not scrape metrics")
    if not names and "scrape_configs" not in document:
        wrong(path, "says nothing")

for problem in problems:
    print(problem, file=sys.stderr)
sys.exit(1 if problems else 0)
