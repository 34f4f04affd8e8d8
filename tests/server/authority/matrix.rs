//! Every caller on every path.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::backend::MountType;
use vault_plugin_agentic::host::framework::endpoint::{Audience, Verb, is_governed};
use vault_plugin_agentic::mount::routes;

use super::callers::{self, Caller};
use crate::support::{Answer, Bao};

/// Things that are not there, so that nothing is changed.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| match part {
            "{id}" => "01a2062d-d731-7335-be88-0c6ee36d31a9",
            "{user_code}" => "BCDF-GHJK",
            part if part.starts_with('{') => "none-such",
            part => part,
        })
        .collect::<Vec<_>>()
        .join("/")
}

/// What a caller is told, in one letter.
fn letter(answer: &Answer) -> char {
    if answer.status != 403 {
        return '+';
    }
    let told = answer.errors();
    let gate = [
        "may not govern",
        "this token is an agent's",
        "refused (agent.",
    ];
    if told.trim().trim_start_matches("1 error occurred:").trim() == "* permission denied"
        || told.trim() == "permission denied"
    {
        '.'
    } else if gate.iter().any(|gate| told.contains(gate)) || told.contains("log in anew") {
        'x'
    } else {
        '-'
    }
}

fn ask(caller: &Caller, verb: Verb, path: &str) -> Answer {
    let method = match verb {
        Verb::Read => "GET",
        Verb::Write => "POST",
        Verb::Delete => "DELETE",
        Verb::List => "LIST",
    };
    let body = (verb == Verb::Write).then(|| json!({}));
    caller.client.send(method, path, body.as_ref())
}

#[test]
fn every_caller_on_every_path() {
    let bao = Bao::own();
    let mount = bao.secrets();
    let callers = callers::all(&bao, &mount);
    let mut text = String::from(
        "Who reaches which path of a secrets mount. Rewritten by `make golden`.\n\n\
         +  reaches the path; what it gets there is the path's to say\n\
         -  is refused by the path itself: it is for others\n\
         x  is refused by the plugin's gate, whatever its ACL says\n\
         .  is refused by the server\n\n",
    );
    for caller in &callers {
        let _ = writeln!(text, "{}  {}", caller.short, caller.who);
    }
    let shorts: Vec<&str> = callers.iter().map(|caller| caller.short).collect();
    let _ = writeln!(text, "\n{:<47} {}", "", shorts.join(" "));
    let mut routes = routes(MountType::Secrets);
    routes.sort_by_key(|route| (route.place.path, route.place.verb));
    for route in &routes {
        let verb = route.place.verb;
        let at = mount.at(&filled(route.place.path));
        let letters: Vec<String> = callers
            .iter()
            .map(|caller| format!(" {} ", letter(&ask(caller, verb, &at))))
            .collect();
        let name = format!("{:<39} {}", route.place.path, verb.as_str());
        let line = format!("{name:<47} {}", letters.join(" "));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/callers.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        golden == text,
        "callers.txt has changed; run `make golden` and look at the difference\n{text}"
    );
}

/// The server asks for `sudo` where, and only where, the path is governed, and
/// its own document says the same.
#[test]
fn the_server_asks_for_sudo_where_the_path_governs_and_nowhere_else() {
    let bao = Bao::dev();
    for (mount, mount_type) in [
        (bao.secrets(), MountType::Secrets),
        (bao.auth(), MountType::Auth),
    ] {
        let almost = bao.login(
            "almost",
            &mount.acl(&[("*", "create, read, update, delete, list")]),
        );
        let document = bao.client().read("sys/internal/specs/openapi").ok();
        for route in routes(mount_type) {
            let path = route.place.path;
            let governed = route.audience == Audience::Governed;
            assert_eq!(is_governed(&route.place), governed, "{path}");
            let caller = Caller {
                short: "",
                who: "",
                client: almost.client.clone(),
            };
            let at = mount.at(&filled(path));
            let answer = ask(&caller, route.place.verb, &at);
            assert_eq!(letter(&answer) == '.', governed, "{at}: {answer:?}");
            let item = &document.json["paths"][format!("/{}/{path}", mount.path)];
            let said = item["x-vault-sudo"].as_bool().unwrap_or(false);
            assert_eq!(said, governed, "{path}");
        }
        // Nor does another spelling reach what governs.
        for spelling in [
            "config/",
            "keys//",
            "agents/./x",
            "agents%2Fx",
            "metrics/",
            "register/",
            "./config",
            "config/../config",
            "policies/x/",
            "CONFIG",
        ] {
            for verb in [Verb::Read, Verb::List, Verb::Delete, Verb::Write] {
                let caller = Caller {
                    short: "",
                    who: "",
                    client: almost.client.clone(),
                };
                let answer = ask(&caller, verb, &mount.at(spelling));
                assert!(
                    answer.status >= 300 && answer.json["data"] == Value::Null,
                    "{spelling} {verb:?}: {answer:?}"
                );
            }
        }
    }
}
