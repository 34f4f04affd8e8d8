//! The paths of ACL rules, as the host reads them.

use std::cmp::Reverse;
use std::fmt;

/// The path of a rule: exact, with a glob at its end, or with segments that may
/// be anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern {
    /// Where there is a glob, the last one is how a segment begins.
    segments: Vec<String>,
    glob: bool,
}

/// What a pattern says of one segment of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'p> {
    Is(&'p str),
    Any,
    /// The segment begins so, and any may follow.
    Begins(&'p str),
    /// After a glob: anything, or nothing.
    Rest,
    /// There is no such segment.
    End,
}

/// The paths that two patterns have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Common {
    Nothing,
    Pattern(Pattern),
    /// Some, and no pattern of an ACL says which.
    Unwritable,
}

impl Pattern {
    /// The host drops a slash at the beginning.
    pub(super) fn new(text: &str) -> Self {
        let text = text.strip_prefix('/').unwrap_or(text);
        let (text, glob) = match text.strip_suffix('*') {
            Some(begin) => (begin, true),
            None => (text, false),
        };
        Self {
            segments: text.split('/').map(str::to_owned).collect(),
            glob,
        }
    }

    /// Whether it is of one path only.
    pub(super) fn is_exact(&self) -> bool {
        !self.glob && self.pluses() == 0
    }

    /// Whether it is of one path only, which is none of a list.
    pub(super) fn is_item(&self) -> bool {
        self.is_exact() && self.segments.last().is_some_and(|last| !last.is_empty())
    }

    /// The path of a list of what is at this one.
    pub(super) fn listed(&self) -> Self {
        let mut listed = self.clone();
        listed.segments.push(String::new());
        listed
    }

    /// Whether every path of `other` is one of this.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.parts(other).all(|pair| match pair {
            (Part::Is(one), Part::Is(other)) => one == other,
            (Part::Any, Part::Is(_) | Part::Any)
            | (Part::Rest, Part::Is(_) | Part::Any | Part::Begins(_)) => true,
            (Part::Begins(begin), Part::Is(other) | Part::Begins(other)) => {
                other.starts_with(begin)
            }
            (Part::Begins(begin), Part::Any) => begin.is_empty(),
            (Part::Is(_) | Part::Any | Part::Begins(_) | Part::Rest | Part::End, _) => false,
        })
    }

    /// What both have in common.
    pub(super) fn common(&self, other: &Self) -> Common {
        let mut segments = Vec::new();
        for pair in self.parts(other) {
            let segment = match pair {
                (Part::Is(one), Part::Is(other)) if one == other => one,
                (Part::Is(one), Part::Any | Part::Rest)
                | (Part::Any | Part::Rest, Part::Is(one)) => one,
                (Part::Is(one), Part::Begins(begin)) | (Part::Begins(begin), Part::Is(one))
                    if one.starts_with(begin) =>
                {
                    one
                }
                (Part::Any, Part::Any | Part::Rest | Part::Begins(""))
                | (Part::Rest | Part::Begins(""), Part::Any) => "+",
                (Part::Any, Part::Begins(_)) | (Part::Begins(_), Part::Any) => {
                    return Common::Unwritable;
                }
                (Part::Begins(long), Part::Begins(short))
                | (Part::Begins(short), Part::Begins(long))
                    if long.starts_with(short) =>
                {
                    long
                }
                (Part::Begins(begin), Part::Rest) | (Part::Rest, Part::Begins(begin)) => begin,
                (Part::Is(_) | Part::Any | Part::Begins(_) | Part::Rest | Part::End, _) => {
                    return Common::Nothing;
                }
            };
            segments.push(segment.to_owned());
        }
        Common::Pattern(Self {
            segments,
            glob: self.glob && other.glob,
        })
    }

    /// Whether they have a path in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.common(other) != Common::Nothing
    }

    /// Whether the host takes this one where both are of a path.
    pub(super) fn beats(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    /// As the host sorts: an exact path before all; then the one that is fixed for
    /// longer, that has no glob, that has fewer free segments, that is longer.
    fn rank(&self) -> impl Ord {
        let text = self.segments.join("/");
        let pluses = self.pluses();
        let fixed = if pluses > 0 {
            let before = self.segments.iter().take_while(|segment| *segment != "+");
            before.map(|segment| segment.len().saturating_add(1)).sum()
        } else {
            text.len()
        };
        (
            self.is_exact(),
            fixed,
            !self.glob,
            Reverse(pluses),
            text.len(),
            text,
        )
    }

    fn pluses(&self) -> usize {
        let free = self.segments.iter().filter(|segment| *segment == "+");
        free.count()
    }

    fn parts<'p>(&'p self, other: &'p Self) -> impl Iterator<Item = (Part<'p>, Part<'p>)> {
        let most = self.segments.len().max(other.segments.len());
        (0..most).map(|index| (self.part(index), other.part(index)))
    }

    fn part(&self, index: usize) -> Part<'_> {
        let is_last = index.saturating_add(1) == self.segments.len();
        match self.segments.get(index) {
            Some(segment) if self.glob && is_last => Part::Begins(segment),
            Some(segment) if segment == "+" => Part::Any,
            Some(segment) => Part::Is(segment),
            None if self.glob => Part::Rest,
            None => Part::End,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments.join("/"))?;
        f.write_str(if self.glob { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(one: &str, other: &str) -> String {
        let (one, other) = (Pattern::new(one), Pattern::new(other));
        let common = one.common(&other);
        assert_eq!(common, other.common(&one));
        match common {
            Common::Nothing => String::new(),
            Common::Pattern(pattern) => {
                assert!(one.covers(&pattern) && other.covers(&pattern));
                pattern.to_string()
            }
            Common::Unwritable => "?".to_owned(),
        }
    }

    #[test]
    fn what_patterns_have_in_common_is_a_pattern() {
        for (one, other, both) in [
            ("*", "m/agents/*", "m/agents/*"),
            ("m/*", "m/config", "m/config"),
            ("/m/*", "m/config", "m/config"),
            ("m/co*", "m/config/*", "m/config/*"),
            ("m/config*", "m/config", "m/config"),
            ("m/agents/b*", "m/agents/*", "m/agents/b*"),
            ("m/agents/+", "m/agents/*", "m/agents/+"),
            ("m/+/b/+", "m/agents/*", "m/agents/b/+"),
            ("+/agents/*", "m/agents/*", "m/agents/*"),
            ("m/+", "m/config", "m/config"),
            ("m/+", "m/agents/*", ""),
            ("m/agents", "m/agents/*", ""),
            ("m/agents/", "m/agents/*", "m/agents/"),
            ("m/agent", "m/agents/*", ""),
            ("n/*", "m/config", ""),
            ("m/a*", "m/b*", ""),
            ("m/+/x*", "m/a/*", "m/a/x*"),
            ("m/a/b*", "m/a/+/c", "?"),
            ("m/a/b*", "m/a/+", "?"),
        ] {
            assert_eq!(common(one, other), both, "{one} {other}");
        }
    }

    #[test]
    fn a_pattern_covers_what_it_is_never_without() {
        let covers = |one: &str, other: &str| Pattern::new(one).covers(&Pattern::new(other));
        for (one, other) in [
            ("*", "a"),
            ("*", "+/a/*"),
            ("a/*", "a/+"),
            ("a/*", "a/"),
            ("a/b*", "a/bc/*"),
            ("a/+", "a/b"),
            ("a/+/*", "a/b/c"),
        ] {
            assert!(covers(one, other), "{one} {other}");
            assert!(!covers(other, one), "{other} {one}");
        }
        for (one, other) in [
            ("a/*", "a"),
            ("a/+", "a/b/c"),
            ("a/+", "a/*"),
            ("a/b*", "a/+"),
            ("a", "a/*"),
        ] {
            assert!(!covers(one, other), "{one} {other}");
        }
    }

    #[test]
    fn the_host_takes_the_most_specific() {
        // From the least to the most, as a server said of `m/agents/bot`.
        let sorted = [
            "+/*",
            "*",
            "+/+/bot",
            "+/agents/bot",
            "m/+/*",
            "m/+/b*",
            "m/*",
            "m/+/+",
            "m/+/bot",
            "m/a*",
            "m/agents*",
            "m/agents/*",
            "m/agents/+",
            "m/agents/b*",
            "m/agents/bot",
        ];
        for (index, one) in sorted.iter().enumerate() {
            for (other_index, other) in sorted.iter().enumerate() {
                let beats = Pattern::new(one).beats(&Pattern::new(other));
                assert_eq!(beats, index > other_index, "{one} {other}");
            }
        }
    }
}
