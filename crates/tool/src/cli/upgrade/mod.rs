//! `upgrade check`: for whom a server of 0.1 would change, and what to write so
//! that it does not. It only reads.

mod acl;
mod caller;
mod found;
mod mounts;
mod names;
mod path;
mod policies;
mod subjects;

use std::collections::BTreeMap;

use self::acl::Rule;
pub(super) use self::caller::{Standing, standing};
pub(super) use self::found::Found;
use self::found::some;
pub(super) use self::mounts::is_old;
use self::policies::{Governed, analyse, told};
use super::args::UpgradeCheck;
use super::environment::Environment;
use super::policy::Report;
use super::server::{Api, Server, names as listed, segment};

/// How many names a line shows.
const SHOWN: usize = 5;

/// Looks at a server.
pub(super) fn check(options: &UpgradeCheck, environment: &Environment) -> Report {
    match Server::connect(environment) {
        Ok(server) => look(options, &server),
        Err(message) => Found::failed(&message),
    }
}

fn look(options: &UpgradeCheck, server: &impl Api) -> Report {
    let mut found = Found::default();
    let mounts = match mounts::find(server, &options.mounts, &mut found) {
        Ok(mounts) => mounts,
        Err(message) => return Found::failed(&message),
    };
    if mounts.is_empty() {
        found.note("looked at", "no mount of the plugin: there is none");
        return found.report();
    }
    let paths: Vec<&str> = mounts.iter().map(|mount| mount.path.as_str()).collect();
    for path in &paths {
        own(server, path, &mut found);
    }
    acl(server, &paths, &mut found);
    subjects::check(server, &mounts, &mut found);
    for mount in &mounts {
        names::check(server, mount, &mut found);
    }
    found.report()
}

/// Says how the caller's own token stands on a mount.
fn own(server: &impl Api, path: &str, found: &mut Found) {
    match standing(server, path) {
        Standing::Governs => found.note("you", &format!("govern {path}, and will")),
        Standing::Outside => found.note("you", &format!("do not govern {path} with this token")),
        Standing::ShutOut(paths) => found.change("you", &shut_out(path, &paths)),
        Standing::Unknown(said) => found.unread(&said),
    }
}

/// That the caller would be shut out of a mount.
pub(super) fn shut_out(mount: &str, paths: &[String]) -> String {
    let paths = some(paths.iter().map(String::as_str), SHOWN);
    format!("would not govern {mount} any more: your token has no `sudo` on {paths}")
}

/// Says which rules of the server's ACL policies would not govern any more.
pub(super) fn acl(server: &impl Api, mounts: &[&str], found: &mut Found) {
    let policies = read(server, found);
    let governed = Governed::of(mounts.iter().copied());
    for (name, rules) in &policies {
        let analysis = analyse(rules, &governed);
        for change in &analysis.changes {
            found.change("policy", &format!("`{name}`: {}", told(change)));
        }
        for (stanza, rule) in &analysis.unwritable {
            found.note(
                "see to it",
                &format!(
                    "`{name}`: the stanza for `{stanza}` in the patch goes before the rule for `{rule}`: look by hand"
                ),
            );
        }
        if !analysis.has_patch() {
            continue;
        }
        let others = policies.iter().filter(|(other, _)| *other != name);
        for (other, paths) in analysis.disputes(others) {
            found.note(
                "see to it",
                &format!(
                    "tokens that have both `{name}` and `{other}`: the patch of the one goes before, or adds to, what the other says, as in {paths}"
                ),
            );
        }
        found.patch(&format!("policy `{name}`"), &analysis.patch());
    }
}

/// The rules of all ACL policies of the server, as far as they can be read.
fn read(server: &impl Api, found: &mut Found) -> BTreeMap<String, Vec<Rule>> {
    let mut policies = BTreeMap::new();
    let all = server.list("sys/policies/acl/", &[]);
    let all = found.taken(all).map(|all| listed(&all));
    let mut refused = BTreeMap::new();
    // What the server says of root is nothing: it may everything.
    for name in all.into_iter().flatten().filter(|name| name != "root") {
        let answer = server.read(&format!("sys/policies/acl/{}", segment(&name)));
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) if failure.is_absent() => continue,
            Err(failure) => {
                refused.insert(name, failure);
                continue;
            }
        };
        let text = answer
            .pointer("/data/policy")
            .and_then(|text| text.as_str());
        match acl::read(text.unwrap_or_default()) {
            Ok(rules) => {
                policies.insert(name, rules);
            }
            Err(why) => found.unread(&format!("the policy `{name}`: {why}: look by hand")),
        }
    }
    if let Some(failure) = refused.values().next() {
        let names = some(refused.keys().map(String::as_str), SHOWN);
        found.unread(&format!("the policies {names}: {failure}"));
    }
    policies
}

#[cfg(test)]
mod tests;
