//! Which addresses a collector may have.
//!
//! The server reaches places that an operator of this mount may not, so an
//! endpoint is no way to make it ask anything anywhere: no link-local address
//! (where clouds keep credentials), and no plain HTTP across a network unless
//! that is said.

use std::net::{IpAddr, SocketAddr};

use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use agentic_net::addresses::{Reach, reach};

/// Checks an endpoint as it is written.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check(endpoint: &str, allow_plaintext: bool) -> Result<(), String> {
    let wrong =
        || "must be a URL without path, as in `https://collector.example.com:4318`".to_owned();
    let uri: http::Uri = endpoint.parse().map_err(|_| wrong())?;
    let host = uri
        .host()
        .filter(|host| !host.is_empty())
        .ok_or_else(wrong)?;
    let plain = match uri.scheme_str() {
        Some("https") => false,
        Some("http") => true,
        _ => return Err(wrong()),
    };
    if endpoint.len() > 512
        || !matches!(uri.path(), "" | "/")
        || endpoint.ends_with('/')
        || endpoint.contains(['?', '#', '@'])
        || !endpoint.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(wrong());
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = host.parse().ok();
    if address.is_some_and(|address| !may_be(address)) {
        return Err("may not be a link-local, multicast or unspecified address, nor one of a cloud's metadata".to_owned());
    }
    let near = match address {
        Some(address) => address.to_canonical().is_loopback(),
        None => host.eq_ignore_ascii_case("localhost"),
    };
    if plain && !near && !allow_plaintext {
        return Err(
            "must be https, unless it is this machine or `otlp_allow_plaintext` is set".to_owned(),
        );
    }
    Ok(())
}

/// Whether a collector may be at an address.
fn may_be(address: IpAddr) -> bool {
    reach(address) != Reach::Never
}

/// Looks names up, and holds what they stand for to the same rule.
#[derive(Debug, Default)]
pub struct Careful(DefaultResolver);

impl Resolver for Careful {
    fn resolve(
        &self,
        uri: &http::Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.0.resolve(uri, config, timeout)?;
        let mut kept = self.empty();
        let good = |address: &&SocketAddr| may_be(address.ip());
        for address in found.iter().filter(good) {
            kept.push(*address);
        }
        if kept.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_plain_url() {
        for good in [
            "https://collector.example.com:4318",
            "https://10.0.0.1:4318",
            "http://127.0.0.1:4318",
            "http://[::1]:4318",
            "http://localhost:4318",
        ] {
            assert_eq!(check(good, false), Ok(()), "{good}");
        }
        for bad in [
            "",
            "collector:4318",
            "ftp://collector",
            "https://u:p@collector",
            "https://collector/v1/logs",
            "https://collector/",
            "https://collector?x",
            "https://",
            "http://collector:4318",
            "http://10.0.0.1:4318",
            "http://localhost.example.com",
        ] {
            assert!(check(bad, false).is_err(), "{bad}");
        }
        assert_eq!(check("http://collector:4318", true), Ok(()));
    }

    #[test]
    fn no_endpoint_is_where_clouds_keep_credentials() {
        for bad in [
            "http://169.254.169.254",
            "https://169.254.169.254",
            "https://[fe80::1]:1",
            "https://[::ffff:169.254.169.254]",
            "https://0.0.0.0",
            "https://[::]",
            "https://224.0.0.1",
            "https://100.100.100.200",
            "https://168.63.129.16",
            "https://[fd00:ec2::254]",
        ] {
            assert!(check(bad, true).is_err(), "{bad}");
        }
    }
}
