//! PEM (RFC 7468), one block: what people paste.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The longest PEM text: an RSA private key of 8192 bits has room.
const MAX_TEXT: usize = 16 * 1024;

/// The bytes of the one block in `text` if its label is `label`. Wiped when
/// dropped, as they may be a private key.
pub(super) fn decode(text: &str, label: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let body = text
        .trim()
        .strip_prefix("-----BEGIN ")?
        .strip_prefix(label)?
        .strip_prefix("-----")?
        .strip_suffix("-----")?
        .strip_suffix(label)?
        .strip_suffix("-----END ")?;
    let joined: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    STANDARD.decode(joined.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_block_with_the_right_label_is_read() {
        let text = "\r\n-----BEGIN PUBLIC KEY-----\r\nAQAB\r\nAQ==\r\n-----END PUBLIC KEY-----\n";
        assert_eq!(decode(text, "PUBLIC KEY").unwrap().as_slice(), [1, 0, 1, 1]);
        assert_eq!(decode(text, "PRIVATE KEY"), None);
    }

    #[test]
    fn anything_else_is_not() {
        for text in [
            "",
            "AQAB",
            "-----BEGIN PUBLIC KEY-----AQAB",
            "-----BEGIN PUBLIC KEY-----AQ-----END PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----A-----END PUBLIC KEY----------BEGIN PUBLIC KEY-----B-----END PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----",
            "-----END PUBLIC KEY-----",
        ] {
            assert_eq!(decode(text, "PUBLIC KEY"), None, "{text}");
        }
        let long = format!(
            "-----BEGIN PUBLIC KEY-----{}-----END PUBLIC KEY-----",
            "AAAA".repeat(5000)
        );
        assert_eq!(decode(&long, "PUBLIC KEY"), None);
    }
}
