//! Carries a plan out. Every step may be repeated.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::plan::{Mount, Plan};
use crate::cli::server::{Api, Failure};

/// Does it all, and says what was done.
pub(super) fn apply(plan: &Plan, server: &impl Api) -> Result<String, String> {
    let mut done = String::new();
    if let Some(copy) = &plan.copy {
        let _ = writeln!(done, "installed    {}", copy.display());
    }
    let mut outdated = None;
    for mount in &plan.mounts {
        register(mount, server)?;
        let _ = writeln!(
            done,
            "registered   {} {} {}, sha256 {}",
            mount.kind.catalog(),
            mount.plugin,
            mount.version,
            mount.sha256
        );
        let existing = existing(mount, server)?;
        let shown = mount.shown();
        match &existing {
            None => {
                enable(mount, server)?;
                let _ = writeln!(done, "enabled      {shown}");
            }
            Some(info) => {
                let _ = writeln!(done, "is enabled   {shown}");
                if field(info, "running_sha256") != mount.sha256 {
                    outdated = Some(mount);
                }
            }
        }
        tune(mount, server)?;
        let _ = writeln!(done, "tuned        {shown}");
    }
    if let Some(mount) = outdated {
        let body = json!({ "plugin": mount.plugin, "scope": "global" });
        server.write("sys/plugins/reload/backend", &body)?;
        let _ = writeln!(done, "reloaded     {}", mount.plugin);
    }
    Ok(done)
}

fn register(mount: &Mount, server: &impl Api) -> Result<Value, Failure> {
    let path = format!(
        "sys/plugins/catalog/{}/{}",
        mount.kind.catalog(),
        mount.plugin
    );
    let body = json!({
        "sha256": mount.sha256,
        "command": mount.command,
        "args": mount.args,
        "version": mount.version,
    });
    server.write(&path, &body)
}

/// What is mounted at the path, if it is ours.
fn existing(mount: &Mount, server: &impl Api) -> Result<Option<Value>, String> {
    let table = server.read(mount.kind.table())?;
    let key = format!("{}/", mount.path);
    let Some(info) = table.get("data").and_then(|data| data.get(&key)) else {
        return Ok(None);
    };
    let found = field(info, "type");
    if found == mount.plugin {
        Ok(Some(info.clone()))
    } else {
        Err(format!(
            "{} is taken by a mount of type `{found}`; choose another with --{}-path",
            mount.shown(),
            mount.kind.command()
        ))
    }
}

fn field<'v>(info: &'v Value, name: &str) -> &'v str {
    info.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn enable(mount: &Mount, server: &impl Api) -> Result<Value, Failure> {
    let body = json!({
        "type": mount.plugin,
        "description": mount.description,
        "config": { "plugin_version": mount.version },
    });
    server.write(&format!("{}/{}", mount.kind.table(), mount.path), &body)
}

fn tune(mount: &Mount, server: &impl Api) -> Result<Value, Failure> {
    let mut body = json!({ "plugin_version": mount.version });
    if let Some(body) = body.as_object_mut() {
        for (setting, values) in mount.tune.settings() {
            body.insert(setting.to_owned(), json!(values));
        }
    }
    server.write(
        &format!("{}/{}/tune", mount.kind.table(), mount.path),
        &body,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::Fake;
    use crate::cli::register::binary::Binary;
    use crate::cli::register::manifest::Manifest;
    use crate::cli::register::plan::Kind;

    fn with(mounts: &Value) -> Fake {
        let mut server = Fake::default();
        server.answers("sys/mounts", mounts.clone());
        server.answers("sys/auth", mounts.clone());
        server
    }

    fn plan() -> Plan {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plugin");
        std::fs::write(&file, "abc").unwrap();
        let wanted = [(Kind::Secret, None), (Kind::Auth, None)];
        let binary = Binary::read(&file).unwrap();
        Plan::new(&Manifest::built_in().unwrap(), &binary, None, &wanted).unwrap()
    }

    #[test]
    fn a_fresh_server_gets_everything() {
        let server = with(&json!({}));
        apply(&plan(), &server).unwrap();
        assert_eq!(
            server.paths(),
            [
                "sys/plugins/catalog/secret/agentic",
                "sys/mounts/agentic",
                "sys/mounts/agentic/tune",
                "sys/plugins/catalog/auth/agentic",
                "sys/auth/agentic",
                "sys/auth/agentic/tune",
            ]
        );
    }

    #[test]
    fn what_is_enabled_is_not_enabled_again() {
        let plan = plan();
        let sha256 = &plan.mounts[0].sha256;
        let info = json!({ "type": "agentic", "running_sha256": sha256 });
        let server = with(&json!({ "agentic/": info }));
        let done = apply(&plan, &server).unwrap();
        assert!(done.contains("is enabled   auth/agentic/"), "{done}");
        assert_eq!(
            server.paths(),
            [
                "sys/plugins/catalog/secret/agentic",
                "sys/mounts/agentic/tune",
                "sys/plugins/catalog/auth/agentic",
                "sys/auth/agentic/tune",
            ]
        );
    }

    #[test]
    fn another_binary_is_loaded_once() {
        let info = json!({ "type": "agentic", "running_sha256": "00" });
        let server = with(&json!({ "agentic/": info }));
        apply(&plan(), &server).unwrap();
        let written = server.paths();
        let reloads = written.iter().filter(|path| path.contains("reload"));
        assert_eq!(reloads.count(), 1);
        assert!(written.last().unwrap().contains("reload"));
    }

    #[test]
    fn a_path_of_another_type_is_left_alone() {
        let server = with(&json!({ "agentic/": { "type": "kv" } }));
        let error = apply(&plan(), &server).unwrap_err();
        assert_eq!(
            error,
            "agentic/ is taken by a mount of type `kv`; choose another with --secrets-path"
        );
    }

    #[test]
    fn a_refusal_names_the_path() {
        let mut server = with(&json!({}));
        server.refuses("sys/mounts/");
        let error = apply(&plan(), &server).unwrap_err();
        assert_eq!(
            error,
            "POST sys/mounts/agentic: the server answered 403: permission denied"
        );
    }
}
