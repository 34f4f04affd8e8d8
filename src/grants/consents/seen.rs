//! The word that ends a question as its human reads it, and that every approval
//! brings back: who has not read the question does not have it.
//!
//! It is a keyed digest of all that was shown, so an agent cannot work it out
//! from what it can read, and a link cannot bring it: an approval with an empty
//! body, as a web page's button sends it, changes nothing.

use crate::grants::Cx;
use crate::host::framework::error::{Error, Result};
use crate::model::consent::HumanConsent;
use crate::model::delegation::Delegation;
use crate::model::ids::EntityId;

/// Short plain words that are hard to mistake for each other.
const WORDS: [&str; 128] = [
    "acorn", "amber", "apple", "arrow", "autumn", "badge", "bamboo", "banjo", "barley", "basil",
    "beacon", "beetle", "birch", "bison", "blanket", "bottle", "breeze", "bridge", "bucket",
    "butter", "cabin", "cactus", "camel", "candle", "canyon", "carpet", "castle", "cedar",
    "cherry", "cider", "clover", "cobalt", "comet", "copper", "coral", "cotton", "cricket",
    "crystal", "daisy", "dolphin", "domino", "donkey", "dragon", "eagle", "ember", "engine",
    "falcon", "feather", "fiddle", "forest", "fossil", "garden", "ginger", "glacier", "granite",
    "guitar", "hammer", "harbor", "hazel", "heron", "hickory", "honey", "igloo", "indigo",
    "island", "ivory", "jacket", "jasmine", "jungle", "kettle", "kitten", "ladder", "lantern",
    "lemon", "lilac", "linen", "lizard", "lobster", "magnet", "maple", "marble", "meadow", "melon",
    "mirror", "mitten", "monkey", "muffin", "nectar", "needle", "nickel", "nutmeg", "oasis",
    "olive", "orchid", "otter", "oyster", "paddle", "panda", "parrot", "pebble", "pepper",
    "pigeon", "pillow", "planet", "plum", "pocket", "puzzle", "quartz", "rabbit", "radish",
    "raven", "ribbon", "river", "rocket", "saddle", "saffron", "salmon", "satchel", "shadow",
    "silver", "spider", "sunset", "thunder", "tiger", "timber", "tulip", "violet", "walnut",
];

/// The word of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen(String);

impl Seen {
    /// The word of a request for authority, as `human` reads it now in `text`.
    ///
    /// # Errors
    /// If storage fails; on a read-only node of a fresh mount, with the text that
    /// forwards.
    pub async fn of_delegation(
        cx: &Cx,
        one: &Delegation,
        text: &str,
        human: &EntityId,
    ) -> Result<Self> {
        let shown = serde_json::json!([
            "delegation",
            one.id,
            human,
            one.agent,
            one.agent_epoch,
            text,
            one.scope,
            one.purpose,
            one.ttl,
            one.max_ttl,
            one.max_uses,
        ]);
        Self::of(cx, &shown.to_string()).await
    }

    /// The word of a question about one request.
    ///
    /// # Errors
    /// As [`Self::of_delegation`].
    pub async fn of_consent(cx: &Cx, one: &HumanConsent) -> Result<Self> {
        let asked = one.request();
        let shown = serde_json::json!([
            "consent",
            one.id,
            one.subject,
            one.agent,
            one.text,
            asked.map(|asked| &asked.binding),
        ]);
        Self::of(cx, &shown.to_string()).await
    }

    async fn of(cx: &Cx, shown: &str) -> Result<Self> {
        let hasher = cx.facts.hasher.ensure(|| cx.random()).await?;
        let digest = hasher.digest("agentic:seen:1", shown.as_bytes());
        let [word, number, ..] = digest;
        let word = WORDS.get(usize::from(word >> 1)).unwrap_or(&"maple");
        let number = 10_u8.saturating_add(number.checked_rem(90).unwrap_or_default());
        Ok(Self(format!("{word}-{number}")))
    }

    /// The word itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The end of the question.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("To agree, answer with seen={}.", self.0)
    }

    /// Checks what an approval brings back.
    ///
    /// # Errors
    /// [`Error::Invalid`] if nothing, [`Error::Conflict`] if another word.
    pub fn check(&self, given: &str) -> Result<()> {
        self::given(given)?;
        if given != self.0 {
            return Err(Error::Conflict(
                "`seen` is not the word of this question as it stands now: read the question, and answer with the word at its end".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Checks that an approval brings back a word at all.
///
/// # Errors
/// [`Error::Invalid`] if not.
pub fn given(seen: &str) -> Result<()> {
    if seen.is_empty() {
        return Err(Error::field(
            "seen",
            "may not be empty: the question ends with the word to answer with",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_are_short_plain_and_all_different() {
        let all: BTreeSet<_> = WORDS.iter().collect();
        assert_eq!(all.len(), WORDS.len());
        for word in WORDS {
            assert!(word.len() <= 8 && word.bytes().all(|b| b.is_ascii_lowercase()));
        }
    }

    #[test]
    fn none_is_a_bad_request_and_another_a_conflict() {
        let seen = Seen("maple-42".to_owned());
        assert_eq!(seen.check("maple-42"), Ok(()));
        assert!(matches!(seen.check(""), Err(Error::Invalid(_))));
        for other in ["maple-43", "Maple-42", " maple-42", "yes", "true"] {
            assert!(
                matches!(seen.check(other), Err(Error::Conflict(_))),
                "{other}"
            );
        }
    }
}
