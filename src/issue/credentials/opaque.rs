//! Opaque tokens: a prefix that scanners for leaked secrets can know, the
//! credential's id, and 256 random bits that have nothing to do with it.
//!
//! The id is in the token so that one record finds it: a token without would
//! need a second one, from its hash to the credential, and a second write for
//! each issue. The id is no secret, and a guess of it without the rest is
//! refused by a comparison in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroize as _;

use crate::facts::keys::hasher::Hasher;
use crate::model::ids::CredentialId;
use crate::model::secret::Secret;

/// What every opaque token begins with.
pub const PREFIX: &str = "agt_";
/// The bytes of an id.
const ID: usize = 16;
/// The bytes of a secret.
pub const SECRET: usize = 32;
/// The characters of the part after the prefix: 48 bytes in base64url.
const BODY: usize = 64;

/// An opaque token.
#[derive(Debug)]
pub struct Token {
    /// Which credential it says to be.
    pub id: CredentialId,
    secret: Secret<Vec<u8>>,
}

impl Token {
    /// The token of a credential.
    #[must_use]
    pub fn new(id: CredentialId, secret: [u8; SECRET]) -> Self {
        Self {
            id,
            secret: Secret::new(secret.to_vec()),
        }
    }

    /// Reads a token. `None`: it is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(PREFIX)?;
        if body.len() != BODY {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(body).ok()?;
        let token = bytes.split_first_chunk::<ID>().and_then(|(id, secret)| {
            let id = uuid::Uuid::from_bytes(*id).hyphenated().to_string();
            let secret: [u8; SECRET] = secret.try_into().ok()?;
            Some(Self::new(id.parse().ok()?, secret))
        });
        bytes.zeroize();
        token
    }

    /// The text that its bearer shows.
    #[must_use]
    pub fn to_text(&self) -> Secret<String> {
        let id = uuid::Uuid::try_parse(self.id.as_str()).unwrap_or_default();
        let mut bytes = Vec::with_capacity(ID.saturating_add(SECRET));
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(self.secret.expose());
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
        bytes.zeroize();
        Secret::new(text)
    }
}

/// The hash of a token, which is stored in its place. It holds the id as well, so
/// that a record copied under another id is of no use.
#[must_use]
pub fn hash(hasher: &Hasher, token: &Token) -> String {
    URL_SAFE_NO_PAD.encode(hasher.sign(&[token.id.as_str().as_bytes(), token.secret.expose()]))
}

/// Whether a stored hash is that of a token, in constant time.
#[must_use]
pub fn fits(hasher: &Hasher, token: &Token, hash: &str) -> bool {
    URL_SAFE_NO_PAD.decode(hash).is_ok_and(|tag| {
        hasher.verify(&[token.id.as_str().as_bytes(), token.secret.expose()], &tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn token(secret: u8) -> Token {
        let id = CredentialId::mint(Timestamp::from_unix(1_800_000_000), [7; 10]);
        Token::new(id, [secret; SECRET])
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let text = token(1).to_text().expose().clone();
        assert_eq!(text.len(), PREFIX.len() + BODY);
        let read = Token::parse(&text).unwrap();
        assert_eq!(read.id, token(1).id);
        assert_eq!(read.secret.expose(), token(1).secret.expose());
        for broken in [
            text.strip_suffix(char::is_alphanumeric)
                .unwrap_or_default()
                .to_owned(),
            format!("{text}A"),
            text.replace(PREFIX, "agx_"),
            text.replace("AQEB", "AQE="),
            String::new(),
        ] {
            assert!(Token::parse(&broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn a_hash_is_of_one_token_and_one_key() {
        let hasher = Hasher::new(&[9; 32]);
        let hash = hash(&hasher, &token(1));
        assert!(fits(&hasher, &token(1), &hash));
        assert!(!fits(&hasher, &token(2), &hash));
        assert!(!fits(&Hasher::new(&[8; 32]), &token(1), &hash));
        assert!(!fits(&hasher, &token(1), ""));
        let other = Token::new(
            CredentialId::mint(Timestamp::from_unix(1_800_000_000), [8; 10]),
            [1; SECRET],
        );
        assert!(!fits(&hasher, &other, &hash), "a record under another id");
    }

    #[test]
    fn nothing_shows_the_secret() {
        let token = token(0x41);
        assert!(!format!("{token:?}").contains("65"));
    }
}
