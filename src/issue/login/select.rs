//! Which target a request is for that names paths of the host instead.

use crate::host::framework::error::{Error, Result};
use crate::issue::Cx;
use crate::model::authorization::{Detail, Scope};
use crate::model::ids::TargetName;
use crate::model::target::CredentialType;

/// The one target whose tokens can do all that the `vault:path_access` details
/// of the request ask for (of the token, where the request has none), and
/// nothing that they do not.
///
/// # Errors
/// If there is none, or more than one. Which come near is not said: whoever asks
/// may know of none of them.
pub async fn target(
    cx: &Cx,
    asked: Option<&Scope>,
    presented: Option<&Scope>,
) -> Result<TargetName> {
    let wanted = [asked, presented]
        .into_iter()
        .flatten()
        .filter_map(paths)
        .next();
    let Some(wanted) = wanted else {
        return Err(Error::Invalid(
            "missing required field \"target\": name it, or send a `vault:path_access` detail"
                .to_owned(),
        ));
    };
    let (mut exact, mut wider) = (Vec::new(), Vec::new());
    for name in cx.facts.targets.list("", 0).await? {
        let Ok(name) = name.parse::<TargetName>() else {
            continue;
        };
        let Some(target) = cx.facts.targets.get(&name).await? else {
            continue;
        };
        let details = target.vault_paths.iter().cloned().map(Detail::Path);
        let token = Scope::new(details.collect()).unwrap_or_default();
        if target.credential_type != CredentialType::VaultToken || !token.covers(&wanted) {
            continue;
        }
        if [asked, presented]
            .into_iter()
            .flatten()
            .all(|scope| scope.covers(&token))
        {
            exact.push(name);
        } else {
            wider.push(name);
        }
    }
    match (exact.as_slice(), wider.as_slice()) {
        ([one], _) => Ok(one.clone()),
        ([], []) => Err(Error::field(
            "authorization_details",
            "no target's tokens can do what the `vault:path_access` details ask for",
        )),
        ([], _) => Err(Error::field(
            "authorization_details",
            "only targets whose tokens can do more can do what is asked for, and a token cannot be made narrower: ask for all that one of them can do",
        )),
        (_, _) => Err(Error::field(
            "authorization_details",
            "the tokens of more than one target can do just what is asked for: name one of them as `target`",
        )),
    }
}

/// The details about paths of the host, if there are any.
fn paths(scope: &Scope) -> Option<Scope> {
    let paths: Vec<Detail> = scope
        .details()
        .iter()
        .filter(|detail| matches!(detail, Detail::Path(_)))
        .cloned()
        .collect();
    if paths.is_empty() {
        return None;
    }
    Scope::new(paths).ok()
}
