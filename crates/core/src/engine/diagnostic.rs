//! What is wrong with a policy's text, and where.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The policy is refused.
    Error,
    /// It is accepted, and probably not what was meant.
    Warning,
}

impl Severity {
    /// The name in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong with a policy's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Diagnostic {
    /// Whether the policy is refused for it.
    pub severity: Severity,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: {}",
            self.line,
            self.column,
            self.severity.as_str(),
            self.message
        )?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// The one of `known` that `word` was probably meant to be.
pub(super) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let best = known
        .into_iter()
        .map(|name| (distance(word, name), name))
        .min()?;
    let near = best.0 <= 2.max(word.len().min(32) / 3);
    near.then(|| format!("did you mean `{}`?", best.1))
}

/// Levenshtein's distance, ignoring case; words of any length count as far
/// apart beyond 64 bytes.
fn distance(a: &str, b: &str) -> usize {
    if a.len().max(b.len()) > 64 {
        return usize::MAX;
    }
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = i;
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (above, y) in row.iter().skip(1).zip(b.bytes()) {
            let substituted = corner.saturating_add(usize::from(x != y));
            left = substituted
                .min(left.saturating_add(1))
                .min(above.saturating_add(1));
            corner = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = ["actions", "targets", "resources"];
        assert_eq!(
            did_you_mean("action", known),
            Some("did you mean `actions`?".into())
        );
        assert_eq!(
            did_you_mean("ressources", known),
            Some("did you mean `resources`?".into())
        );
        assert_eq!(
            did_you_mean("Targets", known),
            Some("did you mean `targets`?".into())
        );
        assert_eq!(did_you_mean("effect", known), None);
        assert_eq!(did_you_mean(&"x".repeat(100), known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
