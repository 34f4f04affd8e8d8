//! `register`, against a server's catalog.

use std::process::Output;

use serde_json::json;

use crate::support::Bao;

fn register(bao: &Bao, args: &[&str]) -> Output {
    bao.run(Bao::plugin_command().arg("register").args(args))
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
    let output = bao.run_with(&nobody.token, Bao::plugin_command().arg("register"));
    assert!(!output.status.success());
    let said = said(&output);
    assert!(
        said.starts_with("GET sys/mounts: the server answered 403: "),
        "{said}"
    );
    assert!(said.contains("permission denied"), "{said}");
}

#[test]
fn printing_needs_no_server() {
    let output = Bao::plugin_command()
        .args(["register", "--print", "--cli=vault"])
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).starts_with("vault plugin register -sha256="));
}
