//! A plan as commands for a shell.

use std::fmt::Write as _;

use super::group::GROUP_METADATA;
use super::plan::{Mount, Plan};
use crate::cli::args::ServerCli;
use crate::model::identity::AGENTS_GROUP;

/// What to type to do the same by hand.
pub(super) fn commands(plan: &Plan, cli: ServerCli) -> String {
    let cli = cli.as_str();
    let mut text = String::new();
    if let Some(copy) = &plan.copy {
        let _ = writeln!(
            text,
            "# on every node, before anything else\ninstall -m 0755 {} {}\n",
            quoted(&plan.binary.display().to_string()),
            quoted(&copy.display().to_string()),
        );
    }
    for mount in &plan.mounts {
        catalog(&mut text, mount, cli);
        enable(&mut text, mount, cli);
        tune(&mut text, mount, cli);
    }
    group(&mut text, cli);
    if let Some(mount) = plan.mounts.first() {
        let _ = writeln!(
            text,
            "# after an upgrade, when all nodes have the new binary\n# {cli} plugin reload -plugin={} -scope=global",
            quoted(&mount.plugin)
        );
    }
    text
}

fn catalog(text: &mut String, mount: &Mount, cli: &str) {
    let _ = write!(
        text,
        "{cli} plugin register -sha256={} -command={} -version={}",
        mount.sha256,
        quoted(&mount.command),
        quoted(&mount.version),
    );
    for arg in &mount.args {
        let _ = write!(text, " -args={}", quoted(arg));
    }
    let _ = writeln!(text, " {} {}", mount.kind.catalog(), quoted(&mount.plugin));
}

fn enable(text: &mut String, mount: &Mount, cli: &str) {
    let _ = writeln!(
        text,
        "{cli} {} enable -path={} -plugin-version={} -description={} {}",
        mount.kind.command(),
        quoted(&mount.path),
        quoted(&mount.version),
        quoted(&mount.description),
        quoted(&mount.plugin),
    );
}

fn tune(text: &mut String, mount: &Mount, cli: &str) {
    let _ = write!(text, "{cli} {} tune", mount.kind.command());
    for (setting, values) in mount.tune.settings() {
        let flag = setting.replace('_', "-");
        for value in values {
            let _ = write!(text, " \\\n  -{flag}={}", quoted(value));
        }
    }
    let _ = writeln!(text, " \\\n  {}\n", quoted(&format!("{}/", mount.path)));
}

fn group(text: &mut String, cli: &str) {
    let (key, value) = GROUP_METADATA;
    let _ = writeln!(
        text,
        "# once, where there is no such group\n\
         {cli} read identity/group/name/{AGENTS_GROUP} || \\\n  \
         {cli} write identity/group name={AGENTS_GROUP} type=internal metadata={}\n",
        quoted(&format!("{key}={value}"))
    );
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::register::binary::Binary;
    use crate::cli::register::manifest::Manifest;
    use crate::cli::register::plan::Kind;
    use std::path::{Path, PathBuf};

    #[test]
    fn the_printed_commands_change_only_on_purpose() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plugin");
        std::fs::write(&file, "abc").unwrap();
        let mut binary = Binary::read(&file).unwrap();
        binary.path = PathBuf::from("/tmp/build of today/vault-plugin-agentic");
        let installed = (
            PathBuf::from("/opt/plugins"),
            binary.versioned_name("0.1.0"),
        );
        let wanted = [(Kind::Secret, None), (Kind::Auth, None)];
        let manifest = Manifest::built_in().unwrap();
        let plan = Plan::new(&manifest, &binary, Some(installed), &wanted).unwrap();
        let found = commands(&plan, ServerCli::Bao);

        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/register-print.txt");
        #[expect(clippy::disallowed_methods, reason = "a golden is rewritten on demand")]
        let update = std::env::var("UPDATE_GOLDEN").is_ok();
        if update {
            std::fs::write(&path, &found).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            golden == found,
            "the commands changed; run with UPDATE_GOLDEN=1 and look at the difference\n{found}"
        );
        let vault = commands(&plan, ServerCli::Vault);
        assert_eq!(vault, found.replace("bao ", "vault "));
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("--type=auth"), "--type=auth");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$HOME"), "'$HOME'");
        assert_eq!(quoted(""), "''");
    }
}
