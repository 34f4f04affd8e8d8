//! `register`, against a server's catalog.

use std::process::{Command, Output};

use serde_json::json;

use crate::support::Bao;

fn register(bao: &Bao, args: &[&str]) -> Output {
    bao.run(Bao::tool_command().arg("register").args(args))
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    [text(&output.stdout), text(&output.stderr)].concat()
}

#[test]
fn a_path_that_is_taken_is_left_alone() {
    let bao = Bao::own();
    bao.client()
        .write("sys/mounts/taken", &json!({ "type": "kv" }))
        .ok();
    let directory = bao.plugin_directory();
    let output = register(
        &bao,
        &[
            "--no-auth",
            "--secrets-path=taken",
            "--plugin-dir",
            directory.to_str().unwrap(),
        ],
    );
    assert!(!output.status.success());
    let said = said(&output);
    assert!(
        said.contains("taken/ is taken by a mount of type `kv`; choose another"),
        "{said}"
    );
}

#[test]
fn a_refusal_of_the_server_is_passed_on() {
    let bao = Bao::dev();
    let nobody = bao.login("nobody", "");
    let output = bao.run_with(&nobody.token, Bao::tool_command().arg("register"));
    assert!(!output.status.success());
    let said = said(&output);
    assert!(
        said.starts_with("GET sys/mounts: the server answered 403: "),
        "{said}"
    );
    assert!(said.contains("permission denied"), "{said}");
}

/// The commands of 0.1 go on for one release.
#[test]
fn the_plugin_passes_commands_on() {
    let print = |command: &mut Command| {
        let output = command
            .args(["register", "--print", "--cli=vault"])
            .env_clear()
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        said(&output)
    };
    assert_eq!(
        print(&mut Bao::plugin_command()),
        print(&mut Bao::tool_command())
    );
    let unknown = Bao::plugin_command().arg("none-such").output().unwrap();
    assert!(!unknown.status.success());
    let versions = Bao::tool_command().arg("version").output().unwrap();
    let said = said(&versions);
    assert!(versions.status.success(), "{said}");
    assert!(said.contains("vault-plugin-agentic 0.1.0"), "{said}");
}

#[test]
fn printing_needs_no_server() {
    let output = Bao::tool_command()
        .args(["register", "--print", "--cli=vault"])
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).starts_with("vault plugin register -sha256="));
}
