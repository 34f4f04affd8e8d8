//! Keys that rotate by themselves, and versions that nothing needs any more.

use crate::facts::Cx;
use crate::host::framework::error::{Error, Result};
use crate::jose::signer::SigningKey;
use crate::model::ids::KeyName;

/// Rotates the keys whose time has come, and drops the versions whose last
/// token has expired.
///
/// # Errors
/// If storage fails; the next call goes on.
pub async fn tidy(cx: &Cx) -> Result<()> {
    if cx.is_standby() {
        return Ok(());
    }
    for name in cx.facts.keys.list("", 0).await? {
        let Ok(name) = name.parse::<KeyName>() else {
            continue;
        };
        let Some(ring) = cx.facts.keys.get(&name).await? else {
            continue;
        };
        if !ring.is_due(cx.now) && !ring.has_spent(cx.now) {
            continue;
        }
        let changed = cx.facts.keys.change(&name, |ring| {
            ring.prune(cx.now);
            if ring.is_due(cx.now) {
                let key = SigningKey::generate(ring.algorithm, cx.rng())
                    .map_err(|error| Error::Internal(format!("key {name}: {error}")))?;
                ring.rotate(&key, cx.now);
                tracing::info!(key = %name, "a signing key has rotated");
            }
            Ok(())
        });
        match changed.await {
            // Somebody has just deleted it.
            Ok(_) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
