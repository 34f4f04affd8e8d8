#!/usr/bin/env python3
"""Reads a page of `report --format html` on stdin, as a browser would.

Prints what is in it as JSON: the headings, the rows of its tables, and all its
text. Says on stderr what such a page may not have, and exits with 1: anything
external, a script, a style or handler in an attribute, no policy that forbids
all of that, elements that do not match.
"""

import base64
import hashlib
import json
import sys
from html.parser import HTMLParser

EMPTY = {"meta", "br"}
KNOWN = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav",
    "section", "article", "figure", "figcaption", "h1", "h2", "h3", "h4", "p", "a", "ul", "ol",
    "li", "dl", "dt", "dd", "div", "span", "small", "strong", "code", "time", "br", "i", "details",
    "summary", "table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "g", "rect", "line",
}


class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = []
        self.problems = []
        self.policy = None
        self.style = ""
        self.headings = []
        self.rows = []
        self.text = []
        self.ids = set()
        self.links = []
        self.labels = {}

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in KNOWN:
            self.problems.append(f"<{tag}> is not expected")
        for name, value in attributes:
            if name.startswith("on") or name in ("style", "src", "srcset", "action", "data"):
                self.problems.append(f"<{tag} {name}>")
            if name in ("href", "xlink:href") and not (value or "").startswith("#"):
                self.problems.append(f"<{tag} {name}={value!r}> leaves the page")
        if given.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = given.get("content", "")
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "a":
            self.links.append(given.get("href", "")[1:])
        if tag == "svg" and not (given.get("aria-label") or given.get("aria-hidden") == "true"):
            self.problems.append("a chart has no words")
        if tag == "th" and given.get("scope") != "col":
            self.problems.append("a heading of a table has no scope")
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append([tag, ""])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in EMPTY:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing at line {self.getpos()[0]}")

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
            return
        self.text.append(data)
        if self.headings and any(tag in ("h1", "h2", "h3", "h4") for tag in self.open):
            self.headings[-1][1] += data
        if self.rows and self.rows[-1] and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def main():
    text = sys.stdin.buffer.read().decode("utf-8")
    page = Page()
    page.feed(text)
    page.close()
    problems = page.problems
    if page.open:
        problems.append(f"never closed: {page.open}")
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    rules = [rule.strip() for rule in (page.policy or "").split(";")]
    for wanted in ("default-src 'none'", f"style-src 'sha256-{digest}'"):
        if wanted not in rules:
            problems.append(f"the policy lacks {wanted}: {page.policy}")
    if "url(" in page.style or "@import" in page.style:
        problems.append("the style fetches something")
    problems += [f"no place #{link}" for link in page.links if link not in page.ids]
    levels = [int(tag[1]) for tag, _ in page.headings]
    if levels[:1] != [1] or any(b - a > 1 for a, b in zip(levels, levels[1:])):
        problems.append(f"the headings skip a level: {levels}")
    for problem in problems:
        print(problem, file=sys.stderr)
    found = {"headings": page.headings, "rows": page.rows, "text": "".join(page.text)}
    json.dump(found, sys.stdout)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
