//! Text that people, logs and audit records will show.
//!
//! Refused rather than cleaned: what is stored is what was written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TextError {
    /// Longer than the field allows.
    #[error("is longer than {max} bytes")]
    TooLong {
        /// The most bytes the field takes.
        max: usize,
    },
    /// Holds a character that can deceive a reader or break a log line.
    #[error(
        "contains the character U+{code:04X}, which is refused: control, invisible and text-direction characters can deceive a reader"
    )]
    Unsafe {
        /// The code point.
        code: u32,
    },
}

/// Whether a character must never reach a person or a log: controls,
/// invisible and formatting characters, direction overrides, private use.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}'
            | '\u{034F}'
            | '\u{061C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFD}'
            | '\u{E000}'..='\u{F8FF}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
            | '\u{F0000}'..='\u{10FFFF}')
}

/// A name without its case, as the hosts compare names of groups and of
/// accounts: one character for one (Go's `strings.ToLower`), whatever stands
/// around it.
#[must_use]
pub fn folded(name: &str) -> String {
    name.chars()
        .map(|c| c.to_lowercase().next().unwrap_or(c))
        .collect()
}

/// Checks that `text` is at most `max` bytes and safe to show.
///
/// # Errors
/// [`TextError`] says which rule it breaks.
pub fn check(text: &str, max: usize) -> Result<(), TextError> {
    if text.len() > max {
        return Err(TextError::TooLong { max });
    }
    match text.chars().find(|c| is_unsafe(*c)) {
        Some(c) => Err(TextError::Unsafe { code: u32::from(c) }),
        None => Ok(()),
    }
}

/// Bytes in hexadecimal, in small letters: such texts are names of storage keys
/// too, and must not depend on case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .flatten()
        .collect()
}

/// One line of free text, at most `MAX` bytes, safe to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line<const MAX: usize>(String);

/// A description: one line of up to 1 KiB.
pub type Description = Line<1024>;
/// A short name or reference, such as an owner: up to 256 bytes.
pub type Label = Line<256>;

impl<const MAX: usize> Line<MAX> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing was given.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<const MAX: usize> TryFrom<String> for Line<MAX> {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        check(&text, MAX)?;
        Ok(Self(text))
    }
}

impl<const MAX: usize> From<Line<MAX>> for String {
    fn from(line: Line<MAX>) -> Self {
        line.0
    }
}

impl<const MAX: usize> JsonSchema for Line<MAX> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("Line{MAX}"))
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_as_the_hosts_do() {
        for (name, folded_name) in [
            ("Staff", "staff"),
            ("\u{130}stanbul", "istanbul"),
            ("ΟΔΟΣ", "οδοσ"),
            ("straße", "straße"),
            ("a-1_b", "a-1_b"),
        ] {
            assert_eq!(folded(name), folded_name);
        }
    }

    #[test]
    fn ordinary_text_of_any_script_is_kept() {
        for text in [
            "",
            "Support bot",
            "Ünïcødé 漢字 עברית",
            "a <b>markup</b> & 'quotes'",
        ] {
            assert_eq!(check(text, 64), Ok(()), "{text}");
        }
    }

    #[test]
    fn deceptive_characters_are_refused() {
        for c in [
            '\n',
            '\0',
            '\u{7f}',
            '\u{85}',
            '\u{200b}',
            '\u{202e}',
            '\u{2066}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            let text = format!("a{c}b");
            assert_eq!(
                check(&text, 64),
                Err(TextError::Unsafe { code: u32::from(c) })
            );
        }
    }

    #[test]
    fn length_counts_bytes() {
        assert_eq!(check("ää", 4), Ok(()));
        assert_eq!(check("äää", 4), Err(TextError::TooLong { max: 4 }));
    }
}
