//! base64url as JOSE writes it (RFC 7515 2): no padding, no whitespace, no
//! stray bits in the last character, so that one value has one spelling.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;

/// The one spelling of `bytes`.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Writes the spelling of `bytes` at the end of `text`.
pub(super) fn encode_onto(text: &mut String, bytes: impl AsRef<[u8]>) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// The bytes that `text` spells, if it is the one spelling of them.
pub(super) fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The spelling of the SHA-256 hash of `bytes`: thumbprints, `ath`.
pub(super) fn sha256(bytes: &[u8]) -> String {
    encode(digest::digest(&digest::SHA256, bytes))
}

/// Whether `text` can be a SHA-256 hash.
pub(super) fn is_sha256(text: &str) -> bool {
    decode(text).is_some_and(|bytes| bytes.len() == digest::SHA256_OUTPUT_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_spelling() {
        assert_eq!(decode("AQAB"), Some(vec![1, 0, 1]));
        assert_eq!(decode("AQ"), Some(vec![1]));
        for bad in [
            "AQ==",
            "AR",
            "A",
            "AQ AB",
            "AQ\n",
            " AQ",
            "A+/A",
            "AQAB\u{e9}",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
