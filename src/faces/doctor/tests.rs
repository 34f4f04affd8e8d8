use super::*;

const POLICY: &str = r#"
path "secret/data/app" {
  capabilities = ["read", "update"]
  required_parameters = ["reason"]
  allowed_parameters = { "x" = ["1", "2"] }
}
path "secret/data/no" { capabilities = ["deny"] }
"#;

#[test]
fn a_policy_is_read_as_the_details_are() {
    let granted = read(POLICY).unwrap();
    assert_eq!(granted.len(), 1);
    assert_eq!(granted[0].path.as_str(), "secret/data/app");
    assert_eq!(granted[0].allowed_parameters["x"], ["1", "2"]);
}

#[test]
fn what_is_written_can_be_read() {
    let paths = read(POLICY).unwrap();
    let mut text = String::new();
    for access in &paths {
        acl::stanza(&mut text, access);
    }
    assert_eq!(read(&text).unwrap(), paths);
}

#[test]
fn what_cannot_be_compared_is_said() {
    for (text, problem) in [
        ("path \"a\" {", "not HCL"),
        (
            "path \"a\" { min_wrapping_ttl = \"1s\" }",
            "min_wrapping_ttl",
        ),
        ("path \"a\" { policy = \"write\" }", "`policy`"),
        ("rule \"a\" { }", "block `rule`"),
        (
            "path \"../a\" { capabilities = [\"read\"] }",
            "cannot be compared",
        ),
        (
            "path \"a\" { capabilities = [\"fly\"] }",
            "cannot be compared",
        ),
    ] {
        let said = read(text).unwrap_err();
        assert!(said.contains(problem), "{text}: {said}");
    }
}

#[test]
fn paths_that_reach_into_the_server_are_seen() {
    for path in [
        "sys/policies/acl/x",
        "sys/*",
        "auth/token/create",
        "s*",
        "+/token",
        "*",
    ] {
        assert!(POWERFUL.iter().any(|one| overlaps(one, path)), "{path}");
    }
    for path in ["secret/data/x", "secret/*", "system/x", "authority/x"] {
        assert!(!POWERFUL.iter().any(|one| overlaps(one, path)), "{path}");
    }
}
