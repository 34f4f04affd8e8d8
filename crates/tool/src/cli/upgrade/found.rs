//! What a check found, line by line.

use std::fmt::Write as _;

use crate::cli::policy::Report;
use crate::cli::server::Failure;

/// The exit status where something would change for somebody.
const CHANGES: u8 = 1;
/// The exit status where something could not be looked at.
const UNREAD: u8 = 2;

/// Lines for people, and what they amount to.
#[derive(Default)]
pub(in crate::cli) struct Found {
    lines: Vec<String>,
    changes: usize,
    unread: usize,
    patches: String,
}

impl Found {
    /// Something that was looked at, and is as it should be.
    pub(super) fn note(&mut self, about: &str, text: &str) {
        self.lines.push(format!("{about:<12} {}", one_line(text)));
    }

    /// Something that would change for somebody.
    pub(super) fn change(&mut self, about: &str, text: &str) {
        self.changes = self.changes.saturating_add(1);
        self.note(about, text);
    }

    /// Something that could not be looked at.
    pub(super) fn unread(&mut self, text: &str) {
        self.unread = self.unread.saturating_add(1);
        self.note("not read", text);
    }

    /// What there is, or that it could not be looked at.
    pub(super) fn taken<T>(&mut self, answer: Result<T, Failure>) -> Option<T> {
        match answer {
            Ok(taken) => Some(taken),
            Err(failure) => {
                self.unread(&failure.to_string());
                None
            }
        }
    }

    /// What to write into a policy.
    pub(super) fn patch(&mut self, policy: &str, stanzas: &str) {
        let _ = write!(self.patches, "\n# {}\n{stanzas}", one_line(policy));
    }

    /// The lines that were found so far.
    pub(in crate::cli) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Everything, for people, with an exit status for machines.
    pub(super) fn report(&self) -> Report {
        let mut text = String::new();
        for line in &self.lines {
            let _ = writeln!(text, "{line}");
        }
        let status = match (self.changes, self.unread) {
            (0, 0) => {
                text.push_str("\nNothing stands in the way.\n");
                None
            }
            (0, unread) => {
                let _ = writeln!(
                    text,
                    "\nNothing was found that stands in the way, but {unread} could not be looked at."
                );
                Some(UNREAD)
            }
            (changes, 0) => {
                let _ = writeln!(text, "\n{changes} to look at.");
                Some(CHANGES)
            }
            (changes, unread) => {
                let _ = writeln!(
                    text,
                    "\n{changes} to look at, and {unread} could not be looked at."
                );
                Some(CHANGES)
            }
        };
        if !self.patches.is_empty() {
            let _ = write!(
                text,
                "\nAppend this to the policies, before the upgrade: 0.1 does not ask for `sudo`, so it does no harm.\n\
                 Where a policy has a rule for the same path, this may stand instead of it.\n{}",
                self.patches
            );
        }
        Report {
            text,
            ok: true,
            status,
        }
    }

    /// That it could not be looked at all.
    pub(super) fn failed(message: &str) -> Report {
        Report {
            text: format!("{message}\n"),
            ok: false,
            status: Some(UNREAD),
        }
    }
}

/// The first of some texts, as code.
pub(super) fn some<'t>(texts: impl IntoIterator<Item = &'t str>, most: usize) -> String {
    let mut texts = texts.into_iter();
    let first: Vec<String> = texts
        .by_ref()
        .take(most)
        .map(|text| format!("`{text}`"))
        .collect();
    let first = first.join(", ");
    match texts.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Names that others chose stay in their line.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            if crate::model::text::is_unsafe(c) {
                ' '
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_the_worst() {
        let mut found = Found::default();
        found.note("looked at", "agentic/");
        assert_eq!(found.report().status, None);
        found.unread("GET x: the server answered 403: permission denied");
        assert_eq!(found.report().status, Some(2));
        found.change("agent", "`former`");
        let report = found.report();
        assert_eq!((report.status, report.ok), (Some(1), true));
        assert_eq!(
            report.text,
            "looked at    agentic/\n\
             not read     GET x: the server answered 403: permission denied\n\
             agent        `former`\n\
             \n1 to look at, and 1 could not be looked at.\n"
        );
    }

    #[test]
    fn names_do_not_break_lines() {
        let mut found = Found::default();
        found.change("policy", "`a\nb\u{202e}`");
        assert_eq!(found.lines(), ["policy       `a b `"]);
        assert_eq!(some(["a", "b", "c"], 2), "`a`, `b` and 1 more");
        assert_eq!(some(["a"], 2), "`a`");
    }
}
