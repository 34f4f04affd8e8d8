//! The URI of a request, in the one form in which two can be compared
//! (RFC 9449 4.3, check 9; RFC 3986 6.2.2, 6.2.3).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest URI.
const MAX_URI: usize = 2048;

/// Not an absolute `http` or `https` URI that we compare.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("is not an absolute http or https URI without user information")]
pub struct UriError;

/// An absolute `http` or `https` URI without query and fragment, normalised:
/// scheme and host in lower case, no default port, no dot segments, escapes
/// only where needed. The case and the slashes of the path are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpUri(String);

impl HttpUri {
    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HttpUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HttpUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text.len() > MAX_URI || !text.bytes().all(is_uri_byte) {
            return Err(UriError);
        }
        let text = text.split(['?', '#']).next().ok_or(UriError)?;
        let (scheme, rest) = text.split_once("://").ok_or(UriError)?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => "443",
            "http" => "80",
            _ => return Err(UriError),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, path),
            None => (rest, ""),
        };
        let authority = normal_authority(authority, default_port)?;
        let path = normal_path(path)?;
        Ok(Self(format!("{scheme}://{authority}{path}")))
    }
}

/// Printable ASCII that RFC 3986 has a place for.
const fn is_uri_byte(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~')
        && !matches!(
            byte,
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
        )
}

fn normal_authority(authority: &str, default_port: &str) -> Result<String, UriError> {
    // An IPv6 address has colons of its own, inside brackets.
    let bracket = authority.rfind(']');
    let (host, port) = match authority.rfind(':') {
        Some(colon) if bracket.is_none_or(|bracket| colon > bracket) => {
            let (host, port) = authority.split_at_checked(colon).ok_or(UriError)?;
            (host, port.strip_prefix(':').unwrap_or_default())
        }
        Some(_) | None => (authority, ""),
    };
    let name = if host.starts_with('[') {
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .ok_or(UriError)?
    } else {
        host
    };
    let literal = name.len() < host.len();
    let allowed = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_') || (literal && b == b':')
    };
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(UriError);
    }
    let host = host.to_ascii_lowercase();
    if port.is_empty() || port == default_port {
        return Ok(host);
    }
    let port = port
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| port.parse::<u16>().ok())
        .flatten()
        .ok_or(UriError)?;
    if port.to_string() == default_port {
        Ok(host)
    } else {
        Ok(format!("{host}:{port}"))
    }
}

/// The path, from after its first slash: escapes normalised, then dot segments
/// removed (RFC 3986 5.2.4).
fn normal_path(path: &str) -> Result<String, UriError> {
    let mut kept: Vec<String> = Vec::new();
    let segments: Vec<&str> = path.split('/').collect();
    let last = segments.len().saturating_sub(1);
    for (index, segment) in segments.into_iter().enumerate() {
        let segment = normal_segment(segment)?;
        match segment.as_str() {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // A path that ends in dots ends in a slash.
                if index == last {
                    kept.push(String::new());
                }
            }
            _ => kept.push(segment),
        }
    }
    Ok(format!("/{}", kept.join("/")))
}

/// Escapes of unreserved characters undone, the others in upper case
/// (RFC 3986 6.2.2.1, 6.2.2.2).
fn normal_segment(segment: &str) -> Result<String, UriError> {
    let mut parts = segment.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(UriError)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(UriError);
        }
        let byte = u8::from_str_radix(digits, 16).map_err(|_| UriError)?;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&digits.to_ascii_uppercase());
        }
        out.push_str(rest);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(text: &str) -> String {
        text.parse::<HttpUri>().unwrap().to_string()
    }

    #[test]
    fn spellings_of_one_uri_are_one() {
        for (text, expected) in [
            (
                "HTTPS://Server.Example.COM:443/token",
                "https://server.example.com/token",
            ),
            ("https://server.example.com", "https://server.example.com/"),
            (
                "https://server.example.com?x#y",
                "https://server.example.com/",
            ),
            ("https://h/a?b=c#d", "https://h/a"),
            ("https://h/a#d?b", "https://h/a"),
            ("http://h:80/a", "http://h/a"),
            ("http://h:/a", "http://h/a"),
            ("http://h:0080/a", "http://h/a"),
            ("http://h:443/a", "http://h:443/a"),
            ("https://[::1]:8200/v1", "https://[::1]:8200/v1"),
            ("https://[2001:DB8::1]/v1", "https://[2001:db8::1]/v1"),
            ("https://h/%7euser/%2f", "https://h/~user/%2F"),
            ("https://h/a/./b/../c", "https://h/a/c"),
            ("https://h/a/%2e%2e/c", "https://h/c"),
            ("https://h/../..", "https://h/"),
            ("https://h/a/..", "https://h/"),
            ("https://h/a/.", "https://h/a/"),
        ] {
            assert_eq!(normal(text), expected, "{text}");
        }
    }

    #[test]
    fn different_uris_stay_different() {
        for (one, other) in [
            ("https://h/a", "https://h/a/"),
            ("https://h/a", "https://h/A"),
            ("https://h/a", "http://h/a"),
            ("https://h/a//b", "https://h/a/b"),
            ("https://h/a%2Fb", "https://h/a/b"),
            ("https://h:8200/a", "https://h/a"),
            ("https://h./a", "https://h/a"),
        ] {
            assert_ne!(normal(one), normal(other));
        }
    }

    #[test]
    fn what_is_no_such_uri_is_refused() {
        for text in [
            "",
            "/token",
            "token",
            "ftp://h/a",
            "https:/h/a",
            "https:///a",
            "https://u@h/a",
            "https://u:p@h/a",
            "https://h:99999/a",
            "https://h:+1/a",
            "https://h:a/",
            "https://h/%",
            "https://h/%4",
            "https://h/%zz",
            "https://h/%+1",
            "https://h/a b",
            "https://h/\u{e9}",
            "https://[::1/a",
            "https://h]/a",
            "https://[]/",
            "https://h\\a",
            "https://a:b:1/c",
            "https://h::80/",
        ] {
            assert_eq!(text.parse::<HttpUri>(), Err(UriError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn normalising_is_done_once(text in "https?://[a-zA-Z0-9.:]{1,8}/[a-zA-Z0-9./%]{0,16}") {
            if let Ok(uri) = text.parse::<HttpUri>() {
                prop_assert_eq!(uri.as_str().parse::<HttpUri>(), Ok(uri.clone()));
            }
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,40}") {
            let _ = text.parse::<HttpUri>();
        }
    }
}
