//! What is fuzzed: everything that reads what a stranger wrote. A target takes
//! any bytes and panics if something that must hold does not.
//!
//! Shared by libFuzzer (`make fuzz`) and by the laws (`make fuzz-smoke`).

use std::collections::BTreeMap;
use std::io::Cursor;
use std::slice;
use std::sync::{Arc, LazyLock};

use agentic_tool::cli::args::{Cli, Command};
use agentic_tool::cli::report::{Format, Limits, Options, Source, analyse, render};
use clap::Parser as _;
use serde_json::{Map, Value};
use vault_plugin_agentic::engine::facts::{Baseline, Bounds, Environment, Facts, NoCounts, Upkeep};
use vault_plugin_agentic::engine::{compile, try_condition};
use vault_plugin_agentic::host::framework;
use vault_plugin_agentic::host::framework::backend::MountType;
use vault_plugin_agentic::host::framework::field::Field;
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::host::framework::router::Router;
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::jose::dpop::{self, Expected};
use vault_plugin_agentic::jose::jwk::PublicJwk;
use vault_plugin_agentic::jose::jws;
use vault_plugin_agentic::model::decision::AccessRequest;
use vault_plugin_agentic::model::pattern::Pattern;
use vault_plugin_agentic::model::time::{Timestamp, Ttl};
use vault_plugin_agentic::model::vault_path::VaultPath;
use vault_plugin_agentic::mount::routes;
use vault_plugin_agentic::mount::state::Cx;

/// One target.
pub(crate) type Target = fn(&[u8]);

/// All of them. Each has a directory of seeds under its name.
pub(crate) const TARGETS: [(&str, Target); 11] = [
    ("audit_log", audit_log),
    ("coerce", coerce),
    ("condition", condition),
    ("dpop", dpop),
    ("jwk", jwk),
    ("jws", jws),
    ("pattern", pattern),
    ("policy_text", policy_text),
    ("route", route),
    ("spki", spki),
    ("vault_path", vault_path),
];

/// Runs the target of a name.
pub(crate) fn run(name: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = found.unwrap();
    target(data);
}

/// Any file is read as an audit log and reported in each format, or refused.
fn audit_log(data: &[u8]) {
    static OPTIONS: LazyLock<Options> = LazyLock::new(|| {
        let cli = Cli::try_parse_from(["plugin", "report", "-", "--settled=0"]).unwrap();
        match cli.command {
            Command::Report(options) => *options,
            Command::Register(_)
            | Command::Upgrade(_)
            | Command::Policy(_)
            | Command::Version { .. } => panic!("it was asked for"),
        }
    });
    let source = Source::Stream("fuzz".to_owned(), Box::new(Cursor::new(data.to_vec())));
    let Ok(model) = analyse(vec![source], &OPTIONS, &Limits::USUAL) else {
        return;
    };
    let page = render(&model, Format::Html);
    assert!(page.ends_with("</html>\n") && page.matches("<html").count() == 1);
    let table = render(&model, Format::Table);
    let commands = |c: char| c.is_control() && c != '\n';
    assert!(!table.contains(commands), "a terminal is commanded");
    let json: Value = serde_json::from_str(&render(&model, Format::Json)).unwrap();
    assert_eq!(json["version"], 1);
}

/// Any body is coerced for any endpoint, or refused; twice is once.
fn coerce(data: &[u8]) {
    let Ok(Value::Object(body)) = serde_json::from_slice(data) else {
        return;
    };
    static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
        let routes = routes(MountType::Secrets);
        let fields = routes.iter().flat_map(|route| route.fields.iter().cloned());
        fields.collect()
    });
    for field in FIELDS.iter() {
        // Whatever the body calls it, each value meets each kind of field.
        for value in body.values() {
            let raw = Map::from_iter([(field.name.clone(), value.clone())]);
            if let Ok(once) = framework::coerce::coerce(slice::from_ref(field), raw) {
                let again = framework::coerce::coerce(slice::from_ref(field), once.input.clone());
                assert_eq!(again.unwrap().input, once.input);
            }
        }
    }
}

/// Any path is found or not, with captures that are parts of it.
fn route(data: &[u8]) {
    let Ok(path) = str::from_utf8(data) else {
        return;
    };
    static ROUTER: LazyLock<Router<Cx>> = LazyLock::new(|| Router::new(routes(MountType::Secrets)));
    for operation in [
        Operation::Read,
        Operation::Update,
        Operation::Delete,
        Operation::List,
    ] {
        if let Ok((_, captures)) = ROUTER.route(operation, path) {
            for value in captures.values() {
                assert!(path.contains(value) && !value.is_empty() && !value.contains('/'));
            }
        }
    }
}

/// A policy compiles, or its mistakes are somewhere in it.
fn policy_text(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let name = "fuzz".parse().unwrap();
    match compile(&name, text) {
        Ok((policy, _)) => assert_eq!(policy.name, name),
        Err(diagnostics) => assert!(!diagnostics.is_empty(), "refused without a word"),
    }
}

/// The first line is a condition, the rest the context that it is asked of.
fn condition(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (condition, context) = text.split_once('\n').unwrap_or((text, ""));
    let mut request = AccessRequest::new(
        "crm".parse().unwrap(),
        "read".parse().unwrap(),
        "customers/42".parse().unwrap(),
    );
    if let Ok(Value::Object(context)) = serde_json::from_str(context) {
        request.context = context;
    }
    let facts = nothing_known();
    let first = try_condition(condition, &request, &facts);
    assert_eq!(first, try_condition(condition, &request, &facts));
}

/// A token can be read, but nobody signed it with this key.
fn jws(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Ok(token) = jws::decode(text, 16 * 1024) {
        let _ = token.unverified_issuer();
        let key = PublicJwk::from_json_text(KEY).unwrap();
        assert!(jws::verify(token, [&key], &Algorithm::ALL).is_err());
    }
}

/// A key that is taken is written as it was understood.
fn jwk(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    for key in [PublicJwk::from_json_text(text), PublicJwk::from_pem(text)]
        .into_iter()
        .flatten()
    {
        let again = PublicJwk::from_value(&key.to_value()).unwrap();
        assert!(again.is_same_key(&key));
        assert_eq!(again.thumbprint(), key.thumbprint());
        assert!(!key.algorithms().is_empty());
        let _ = key.check_on_curve();
    }
}

/// As [`jwk`], from the inside of a certificate.
fn spki(data: &[u8]) {
    if let Ok(key) = PublicJwk::from_spki(data) {
        let again = PublicJwk::from_value(&key.to_value()).unwrap();
        assert_eq!(again.thumbprint(), key.thumbprint());
    }
}

/// A proof names its own key, so whether it holds is only required not to
/// depend on how often one asks.
fn dpop(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (proof, uri) = text.split_once('\n').unwrap_or((text, ""));
    let usual = "https://resource.example.org/protectedresource";
    let uri = uri.parse().unwrap_or_else(|_| usual.parse().unwrap());
    let expected = Expected {
        method: "GET",
        uri: &uri,
        access_token: None,
        jkt: None,
        nonce: None,
        algorithms: &Algorithm::ALL,
        now: Timestamp::from_unix(1_562_262_618),
        max_age: Ttl::from_secs(60),
        skew: Ttl::from_secs(5),
    };
    let first = dpop::verify(proof, &expected);
    assert_eq!(first.is_ok(), dpop::verify(proof, &expected).is_ok());
}

/// Two patterns and a value: what is covered is matched.
fn pattern(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (outer, inner, value) = (line(), line(), line());
    let (Ok(outer), Ok(inner)) = (outer.parse::<Pattern>(), inner.parse::<Pattern>()) else {
        return;
    };
    assert!(outer.covers(&outer));
    if outer.is_literal() {
        assert!(outer.matches(outer.as_str()));
    }
    if outer.covers(&inner) && inner.matches(value) {
        assert!(outer.matches(value));
    }
}

/// As [`pattern`], in the server's own notation.
fn vault_path(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (outer, inner, value) = (line(), line(), line());
    let (Ok(outer), Ok(inner)) = (outer.parse::<VaultPath>(), inner.parse::<VaultPath>()) else {
        return;
    };
    assert!(outer.covers(&outer));
    if outer.covers(&inner) && inner.matches(value) {
        assert!(outer.matches(value));
    }
}

/// RFC 8037 A.2.
const KEY: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// The facts about a request of nobody for nothing.
fn nothing_known() -> Facts {
    Facts {
        agent: None,
        target: None,
        subject: None,
        baseline: Baseline::NoneGiven,
        chain: vec![],
        consent: None,
        token_details: None,
        details_required: false,
        upkeep: Upkeep::default(),
        environment: Environment {
            now: Timestamp::from_unix(1_800_000_000),
            remote_addr: None,
            locations: Arc::new(BTreeMap::new()),
        },
        bounds: Bounds {
            default_ttl: Ttl::from_secs(60),
            max_ttl: Ttl::from_secs(3600),
            mount_max_ttl: Ttl::from_secs(3600),
            max_delegation_depth: 8,
            counts_uses: true,
        },
        counts: Arc::new(NoCounts),
    }
}
