//! Who governs, who is a human, who is an agent, on a real server: every caller
//! on every path, and each way by which one could become another.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test may be brief"
)]

mod callers;
mod humans;
mod matrix;
mod registry;
mod writes;

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::{Bao, Client, Login, Mount, unique};

/// What nobody should have: everything, with `sudo`.
const EVERYTHING: &str = "create, read, update, delete, list, sudo";

/// One of the ACL policies in `examples/acl`, for another mount.
fn example(name: &str, mount: &Mount<'_>) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/acl")
        .join(format!("{name}.hcl"));
    let text = fs::read_to_string(file).unwrap();
    text.replace("agentic/", &format!("{}/", mount.path))
}

/// Everything on a mount, and children of one's token.
fn everything(mount: &Mount<'_>) -> String {
    let all = mount.acl(&[("*", EVERYTHING)]);
    format!("{all}path \"auth/token/create\" {{ capabilities = [\"update\"] }}\n")
}

/// Registers who is logged in as an agent of that name.
fn register(mount: &Mount<'_>, name: &str, login: &Login) {
    let agent = json!({ "name": name, "entity_id": login.entity_id });
    mount.write("agents/register", &agent).ok();
}

/// An entity that nobody logs in as.
fn entity(bao: &Bao) -> String {
    let made = bao
        .client()
        .write("identity/entity", &json!({ "name": unique("entity") }));
    made.ok().text_at("/data/id")
}

/// Moves the alias of a login to another entity.
fn move_alias(bao: &Bao, login: &Login, to: &str) {
    let root = bao.client();
    let known = root.read(&format!("identity/entity/id/{}", login.entity_id));
    let alias = known.ok().text_at("/data/aliases/0/id");
    let accessor = root
        .read("sys/auth")
        .ok()
        .text_at("/data/userpass~1/accessor");
    let body = json!({ "name": login.name, "canonical_id": to, "mount_accessor": accessor });
    root.write(&format!("identity/entity-alias/id/{alias}"), &body)
        .ok();
}

/// Merges an entity into another.
fn merge(bao: &Bao, from: &str, into: &str) {
    let body = json!({ "from_entity_ids": [from], "to_entity_id": into });
    bao.client().write("identity/entity/merge", &body).ok();
}

/// Whoever logs in once more with a password, whatever entity that is by now.
fn log_in(bao: &Bao, name: &str) -> Client {
    let answer = bao.client_with("").write(
        &format!("auth/userpass/login/{name}"),
        &json!({ "password": "correct horse battery staple" }),
    );
    bao.client_with(&answer.ok().text_at("/auth/client_token"))
}

/// A token of one's own making.
fn child(client: &Client) -> String {
    let made = client.write("auth/token/create", &json!({ "ttl": "10m" }));
    made.ok().text_at("/auth/client_token")
}
