//! `upgrade check`, and what `register` looks at before it upgrades a mount of
//! 0.1.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Bao, Login, Mount, unique};

/// What this plugin says of itself to the server.
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));
const OLD: &str = "v0.1.0";

fn check(bao: &Bao, token: &str, mount: &str) -> Output {
    let mut command = Bao::tool_command();
    command.args(["upgrade", "check", "--mount", mount]);
    bao.run_with(token, &mut command)
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    [text(&output.stdout), text(&output.stderr)].concat()
}

fn root(bao: &Bao) -> String {
    bao.client().token().to_owned()
}

/// The stanzas that the check prints for a policy.
#[track_caller]
fn patch(said: &str, policy: &str) -> String {
    let begin = format!("\n# policy `{policy}`\n");
    let Some((_, rest)) = said.split_once(&begin) else {
        panic!("no patch for `{policy}`: {said}");
    };
    rest.split("\n# policy `").next().unwrap_or(rest).to_owned()
}

/// Appends to a policy, as an operator would.
fn append(bao: &Bao, policy: &str, stanzas: &str) {
    let read = bao.cli(&["policy", "read", policy]);
    let before = String::from_utf8(read.stdout).unwrap();
    let file = bao.plugin_directory().join(unique("patch"));
    fs::write(&file, format!("{before}\n{stanzas}")).unwrap();
    let written = bao.cli(&["policy", "write", policy, file.to_str().unwrap()]);
    assert!(written.status.success(), "{}", said(&written));
}

fn writes_a_target(login: &Login, mount: &Mount<'_>) -> u16 {
    let target = json!({ "actions": "read", "resources": "**" });
    login.client.write(&mount.at("targets/x"), &target).status
}

/// Fails the check for the policy, patches it, and looks again.
fn patched(rules: &[(&str, &str)]) -> (Mount<'static>, Login) {
    let bao = Bao::dev();
    let mount = bao.secrets();
    let login = bao.login("governor", &mount.acl(rules));
    assert_eq!(writes_a_target(&login, &mount), 403);

    let output = check(bao, &root(bao), &mount.path);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = format!("policy       `{}`: ", login.name);
    assert!(text.contains(&line), "{text}");

    append(bao, &login.name, &patch(&text, &login.name));
    assert!((200..300).contains(&writes_a_target(&login, &mount)));
    let again = said(&check(bao, &root(bao), &mount.path));
    assert!(!again.contains(&line), "{again}");
    (mount, login)
}

#[test]
fn the_patch_of_a_policy_lets_the_same_token_govern() {
    patched(&[("targets/*", "create, read, update")]);
}

#[test]
fn the_patch_of_a_wide_policy_adds_sudo_only_to_what_governs() {
    let (mount, login) = patched(&[("*", "create, update, list"), ("+/bot", "deny")]);
    let capabilities = |path: &str| {
        let paths = json!({ "paths": [mount.at(path)] });
        let answer = login.client.write("sys/capabilities-self", &paths).ok();
        answer.data(&mount.at(path)).clone()
    };
    let list = |path: &str| login.client.list(&mount.at(path)).status;
    assert_eq!(
        capabilities("creds/issue"),
        json!(["create", "list", "update"])
    );
    for path in ["targets/x", "config", "config/export", "agents/x/suspend"] {
        let all = json!(["create", "list", "sudo", "update"]);
        assert_eq!(capabilities(path), all, "{path}");
    }
    assert_eq!(capabilities("agents/bot"), json!(["deny"]));
    assert_ne!(list("agents"), 403);
    assert_ne!(list("config/issuers"), 403);
}

#[test]
fn the_caller_is_told_how_it_stands() {
    let bao = Bao::dev();
    let mount = bao.secrets();
    let told = |rules: &[(&str, &str)]| {
        let login = bao.login("caller", &mount.acl(rules));
        let output = check(bao, &login.token, &mount.path);
        (output.status.code(), said(&output))
    };

    let (status, text) = told(&[("agents/*", "create, update")]);
    let line = format!(
        "you          would not govern {}/ any more: your token has no `sudo` on `{}`",
        mount.path,
        mount.at("agents/x")
    );
    assert!(text.contains(&line), "{text}");
    assert_eq!(status, Some(1), "{text}");

    // It may govern, and look at nothing else.
    let (status, text) = told(&[("*", "read, update, list, sudo")]);
    for line in [
        format!("you          govern {}/, and will", mount.path),
        "not read     GET sys/mounts: the server answered 403: permission denied".to_owned(),
        "not read     LIST sys/policies/acl/: ".to_owned(),
    ] {
        assert!(text.contains(&line), "{text}");
    }
    assert_eq!(status, Some(2), "{text}");

    let (_, text) = told(&[("creds/*", "update")]);
    let line = format!("you          do not govern {}/ with this token", mount.path);
    assert!(text.contains(&line), "{text}");
}

#[test]
fn a_server_that_cannot_be_asked_is_said_to_be() {
    let output = Bao::tool_command()
        .args(["upgrade", "check"])
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said(&output).contains("BAO_ADDR or VAULT_ADDR"));
}

/// Puts a mount at `agentic/` that says it is of 0.1: this plugin, with its
/// version overwritten in a copy of the binary.
fn enable_old(bao: &Bao) {
    assert_eq!(VERSION.len(), OLD.len());
    let plugin = bao.plugin_directory().join("vault-plugin-agentic");
    let mut binary = fs::read(&plugin).unwrap();
    let windows = binary.windows(VERSION.len()).enumerate();
    let places: Vec<usize> = windows
        .filter(|(_, window)| *window == VERSION.as_bytes())
        .map(|(place, _)| place)
        .collect();
    for place in places {
        let rest = binary.get_mut(place..).unwrap();
        rest.get_mut(..OLD.len())
            .unwrap()
            .copy_from_slice(OLD.as_bytes());
    }
    let copy = bao.plugin_directory().join("old");
    fs::copy(&plugin, &copy).unwrap();
    fs::write(&copy, &binary).unwrap();

    let digest = ring::digest::digest(&ring::digest::SHA256, &binary);
    let sum: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let root = bao.client();
    let entry = json!({
        "sha256": sum, "command": "old", "args": ["--type=secrets"], "version": OLD,
    });
    root.write("sys/plugins/catalog/secret/agentic", &entry)
        .ok();
    let mount = json!({ "type": "agentic", "config": { "plugin_version": OLD } });
    root.write("sys/mounts/agentic", &mount).ok();
    let info = root.read("sys/mounts").ok();
    let info = info.data("agentic/");
    assert_eq!(info["running_plugin_version"], OLD, "{info}");
}

/// Everything that an installation takes, and what is said of `agentic/`.
fn installer(bao: &Bao, governs: &str) -> Login {
    let rules = [
        ("sys/*", "create, read, update, delete, list, sudo"),
        ("identity/*", "create, read, update, list"),
        ("agentic/*", governs),
    ];
    let rule = |(path, capabilities): &(&str, &str)| {
        let names: Vec<&str> = capabilities.split(", ").collect();
        format!("path {path:?} {{ capabilities = {names:?} }}\n")
    };
    bao.login("installer", &rules.iter().map(rule).collect::<String>())
}

fn register(bao: &Bao, token: &str, args: &[&str]) -> Output {
    let mut command = Bao::tool_command();
    command
        .args(["register", "--no-auth", "--plugin-dir"])
        .arg(bao.plugin_directory())
        .args(args);
    bao.run_with(token, &mut command)
}

fn catalog(bao: &Bao) -> Value {
    let path = format!("sys/plugins/catalog/secret/agentic?version={OLD}");
    bao.client().read(&path).ok().data("sha256").clone()
}

#[test]
fn who_would_be_shut_out_does_not_upgrade_a_mount_of_0_1() {
    let bao = Bao::own();
    enable_old(&bao);
    let before = catalog(&bao);
    let login = installer(&bao, "create, read, update, delete, list");

    let output = register(&bao, &login.token, &[]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.starts_with(
            "you would not govern agentic/ any more: your token has no `sudo` on `agentic/"
        ),
        "{text}"
    );
    assert!(
        text.contains("Grant `sudo` first: 0.1 does not ask for it"),
        "{text}"
    );
    assert_eq!(catalog(&bao), before);
    let copies = fs::read_dir(bao.plugin_directory()).unwrap();
    assert_eq!(copies.count(), 2, "nothing is copied");

    // What it says to do is enough.
    let checked = said(&check(&bao, &root(&bao), "agentic"));
    append(&bao, &login.name, &patch(&checked, &login.name));
    let output = register(&bao, &login.token, &[]);
    let text = said(&output);
    assert!(output.status.success(), "{text}\n{}", bao.log());
    assert!(!text.contains("warning"), "{text}");
    let mounts = bao.client().read("sys/mounts").ok();
    assert_eq!(mounts.data("agentic/")["running_plugin_version"], VERSION);
    let mount = Mount {
        bao: &bao,
        path: "agentic".to_owned(),
    };
    assert!((200..300).contains(&writes_a_target(&login, &mount)));
}

#[test]
fn who_insists_is_warned() {
    let bao = Bao::own();
    enable_old(&bao);
    let login = installer(&bao, "create, read, update");
    let output = register(&bao, &login.token, &["--force"]);
    let text = said(&output);
    assert!(output.status.success(), "{text}\n{}", bao.log());
    for line in [
        "warning      you would not govern agentic/ any more: ".to_owned(),
        format!(
            "warning      policy       `{}`: `agentic/*` gives create, read, update",
            login.name
        ),
    ] {
        assert!(text.lines().any(|said| said.starts_with(&line)), "{text}");
    }
}

#[test]
fn an_installation_makes_the_group_of_agents_once() {
    let bao = Bao::own();
    let made = "made         the identity group `agents`";
    let text = said(&register(&bao, &root(&bao), &[]));
    assert!(text.lines().any(|line| line == made), "{text}");
    let group = bao.client().read("identity/group/name/agents").ok();
    assert_eq!(group.data("type"), "internal");
    assert!(group.data("metadata")["agentic"].is_string(), "{group:?}");

    let entity = bao.login("agent", "").entity_id;
    let members = json!({ "member_entity_ids": [entity] });
    bao.client()
        .write("identity/group/name/agents", &members)
        .ok();
    let text = said(&register(&bao, &root(&bao), &[]));
    assert!(
        text.contains("is there     the identity group `agents`"),
        "{text}"
    );
    let group = bao.client().read("identity/group/name/agents").ok();
    assert_eq!(
        *group.data("member_entity_ids"),
        members["member_entity_ids"]
    );
}

#[test]
fn the_printed_command_makes_the_same_group() {
    let bao = Bao::own();
    let printed = Bao::tool_command()
        .args(["register", "--print"])
        .env_clear()
        .output()
        .unwrap();
    let text = said(&printed);
    let command = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("bao write identity/group "))
        .unwrap();
    let words: Vec<&str> = command.split('\'').collect();
    let [plain, metadata, ""] = words[..] else {
        panic!("{command}");
    };
    let metadata = [plain.split(' ').next_back().unwrap(), metadata].concat();
    let mut args = vec!["write", "identity/group"];
    args.extend(
        plain
            .split(' ')
            .filter(|word| !word.starts_with("metadata")),
    );
    args.push(&metadata);
    let output = bao.cli(&args);
    assert!(output.status.success(), "{}", said(&output));

    let by_hand = bao.client().read("identity/group/name/agents").ok();
    bao.client().delete("identity/group/name/agents").ok();
    register(&bao, &root(&bao), &[]);
    let by_us = bao.client().read("identity/group/name/agents").ok();
    for field in ["name", "type", "metadata"] {
        assert_eq!(by_hand.data(field), by_us.data(field), "{field}");
    }
}
