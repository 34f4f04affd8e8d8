use super::*;

const NOTHING: Allowed = Allowed {
    private: false,
    plain_http: false,
};
const PRIVATE: Allowed = Allowed {
    private: true,
    plain_http: false,
};
const PLAIN: Allowed = Allowed {
    private: false,
    plain_http: true,
};

#[test]
fn a_place_is_https_without_user_or_fragment() {
    let place = Place::parse("https://idp.example.com/keys?v=1", NOTHING).unwrap();
    assert_eq!(
        (place.port, place.path.as_str(), place.authority().as_str()),
        (443, "/keys?v=1", "idp.example.com")
    );
    let place = Place::parse("https://[2606:4700::1111]:8443", NOTHING).unwrap();
    assert_eq!(
        (place.path.as_str(), place.authority().as_str()),
        ("/", "[2606:4700::1111]:8443")
    );
    for url in [
        "",
        "idp.example.com/keys",
        "/keys",
        "ftp://a/b",
        "http://a/b",
        "https:///b",
        "https://u@a/b",
        "https://u:p@a/b",
        "https://a/b#c",
        "file:///etc/passwd",
        "https://a:99999/",
        "https://a\n/",
    ] {
        let problem = Place::parse(url, NOTHING).unwrap_err();
        assert!(matches!(problem, FetchError::Url(_)), "{url}: {problem}");
    }
}

#[test]
fn an_address_that_may_not_be_reached_is_refused_at_sight() {
    for (url, allowed, ok) in [
        ("https://10.0.0.1/", NOTHING, false),
        ("https://10.0.0.1/", PRIVATE, true),
        ("https://127.0.0.1/", NOTHING, false),
        ("https://127.0.0.1/", PRIVATE, true),
        ("https://[::1]/", PLAIN, false),
        ("http://[::1]/", PLAIN, true),
        ("http://127.0.0.1/", PLAIN, true),
        ("http://10.0.0.1/", PLAIN, false),
        ("http://1.1.1.1/", PLAIN, false),
        ("https://1.1.1.1/", NOTHING, true),
        ("https://169.254.169.254/", PRIVATE, false),
        ("https://[::ffff:169.254.169.254]/", PRIVATE, false),
        ("https://[fd00:ec2::254]/", PRIVATE, false),
    ] {
        assert_eq!(Place::parse(url, allowed).is_ok(), ok, "{url} {allowed:?}");
    }
}

#[test]
fn authorities_are_certificates_or_an_error() {
    let made = rcgen::generate_simple_self_signed(["idp".to_owned()]).unwrap();
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, made.cert.der())
    );
    assert_eq!(roots(&format!("{pem}{pem}")).unwrap().len(), 2);
    for bad in [
        "x",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(
            matches!(roots(bad), Err(FetchError::Authorities(_))),
            "{bad}"
        );
    }
}
