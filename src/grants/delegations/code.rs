//! The short code of a request that names nobody: eight letters that a person
//! can read out and type (RFC 8628 6.1).

use ring::digest::{SHA256, digest};

use crate::grants::Cx;
use crate::host::framework::error::Result;
use crate::model::secret::Secret;
use crate::model::text::hex;
use crate::model::time::Ttl;

/// Consonants: no word can come of them, and no letter looks like a digit.
const ALPHABET: [char; 20] = [
    'B', 'C', 'D', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'Q', 'R', 'S', 'T', 'V', 'W', 'X',
    'Z',
];
const LETTERS: usize = 8;

/// How long a code can be used. Seldom guessed in that time: there are 2.6e10.
pub const LIFE: Ttl = Ttl::from_secs(10 * 60);

/// A code, as it is kept: its hash. The code itself is shown once.
#[derive(Debug)]
pub struct Fresh {
    /// As it is shown: `XXXX-XXXX`.
    pub shown: Secret<String>,
    /// What is stored of it.
    pub hash: String,
}

/// Makes a code.
///
/// # Errors
/// If the operating system gives no random bytes.
pub fn make(cx: &Cx) -> Result<Fresh> {
    let mut letters = String::with_capacity(LETTERS);
    while letters.len() < LETTERS {
        for byte in cx.random::<16>()? {
            // 240 is the largest multiple of 20: every letter is as likely.
            let letter = ALPHABET.get(usize::from(byte % 20));
            if byte < 240
                && letters.len() < LETTERS
                && let Some(letter) = letter
            {
                letters.push(*letter);
            }
        }
    }
    let hash = hash(&letters);
    letters.insert(LETTERS / 2, '-');
    Ok(Fresh {
        shown: Secret::new(letters),
        hash,
    })
}

/// What a code that somebody typed hashes to; `None` if it cannot be one. Case,
/// dashes and spaces do not count.
#[must_use]
pub fn read(typed: &str) -> Option<String> {
    let letters: String = typed
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let known = letters.chars().all(|c| ALPHABET.contains(&c));
    (known && letters.chars().count() == LETTERS).then(|| hash(&letters))
}

fn hash(letters: &str) -> String {
    let text = ["agentic user code v1 ", letters].concat();
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = read("BCDF-GHJK").unwrap();
        for typed in ["bcdfghjk", "BCDFGHJK", "bcdf ghjk", "b-c-d-f-g-h-j-k"] {
            assert_eq!(read(typed), Some(code.clone()), "{typed}");
        }
        assert_ne!(read("BCDF-GHJL"), Some(code));
        for typed in [
            "",
            "BCDF-GHJ",
            "BCDF-GHJKL",
            "ACDF-GHJK",
            "BCDF-GHJ1",
            "BCDFGHJÄ",
        ] {
            assert_eq!(read(typed), None, "{typed}");
        }
    }
}
