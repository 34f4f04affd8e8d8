//! What has expired goes: a part of it at each periodic call.

use std::sync::{Mutex, PoisonError};

use crate::host::framework::error::Result;
use crate::host::framework::record::{self, Record};
use crate::host::framework::storage::Write;
use crate::issue::Cx;
use crate::issue::credentials::cursors::Cursors;
use crate::issue::credentials::status::PlaceRecord;
use crate::issue::credentials::store::{CredentialRecord, RevocationRecord};
use crate::model::credential::LONGEST_LIFE;
use crate::model::time::{Timestamp, Ttl};

/// How many names are looked at in one call, of each kind.
const LOOKED_AT: usize = 10_000;
/// How many records are read in one call, of each kind.
const READ: usize = 2_000;
/// How many names are asked for, and how many removed, at a time.
const PAGE: u32 = 500;
/// How long after its expiry a record goes: a little after the last node that
/// may take it for unexpired.
const GRACE: Ttl = Ttl::from_secs(60);

/// Removes what has expired.
///
/// # Errors
/// If storage fails; the next call goes on where this one stopped.
pub async fn tidy(cx: &Cx) -> Result<()> {
    cx.issue.credentials.forget_doubts(cx.now);
    cx.issue.statuses.forget_expired(cx.now);
    if cx.is_standby() {
        return Ok(());
    }
    let Cursors {
        credentials,
        revocations,
        lists,
    } = &cx.issue.tidied;
    let expired = |end: Timestamp| end.plus(GRACE) <= cx.now;
    sweep::<CredentialRecord>(cx, "", credentials, |noun| expired(noun.expires_at)).await?;
    sweep::<RevocationRecord>(cx, "", revocations, |noun| expired(noun.until)).await?;
    sweep_lists(cx, lists).await
}

/// Goes on through the lists: one list, or a part of one, at each call.
async fn sweep_lists(cx: &Cx, cursor: &Mutex<String>) -> Result<()> {
    let mut after = locked(cursor).clone();
    let mut left = LOOKED_AT;
    loop {
        let page = cx
            .host
            .storage
            .list(PlaceRecord::PREFIX, &after, PAGE)
            .await?;
        for folder in &page {
            let within = Mutex::default();
            let looked_at = sweep::<PlaceRecord>(cx, folder, &within, |noun| {
                noun.expires_at.plus(GRACE) <= cx.now
            })
            .await?;
            left = left.saturating_sub(looked_at.max(1));
            if left == 0 {
                folder.clone_into(&mut locked(cursor));
                return Ok(());
            }
        }
        match page.last() {
            Some(last) if page.len() >= as_usize(PAGE) => last.clone_into(&mut after),
            _ => break,
        }
    }
    locked(cursor).clear();
    Ok(())
}

/// Goes on through one folder of records, and says how many names it saw.
///
/// A name that begins with the time at which it was made tells by itself when
/// nothing under it can be alive: such records go unread.
async fn sweep<R: Record>(
    cx: &Cx,
    folder: &str,
    cursor: &Mutex<String>,
    is_over: impl Fn(&R::Noun) -> bool + Send,
) -> Result<usize> {
    let prefix = record::key::<R>(folder);
    let mut after = locked(cursor).clone();
    let (mut looked_at, mut read) = (0_usize, 0_usize);
    loop {
        let page = cx.host.storage.list(&prefix, &after, PAGE).await?;
        let mut writes = Vec::new();
        for child in &page {
            let name = format!("{folder}{child}");
            let over = if is_long_over(child, cx.now) {
                true
            } else {
                read = read.saturating_add(1);
                match cx.host.storage.get(&record::key::<R>(&name)).await? {
                    // What cannot be read is left for who can.
                    Some(bytes) => {
                        record::decode::<R>(&name, &bytes).is_ok_and(|noun| is_over(&noun))
                    }
                    None => false,
                }
            };
            if over {
                writes.push(Write::Delete {
                    key: record::key::<R>(&name),
                });
            }
        }
        cx.host.storage.commit(writes).await?;
        looked_at = looked_at.saturating_add(page.len());
        match page.last() {
            Some(last) if page.len() >= as_usize(PAGE) => last.clone_into(&mut after),
            _ => {
                locked(cursor).clear();
                return Ok(looked_at);
            }
        }
        after.clone_into(&mut locked(cursor));
        if looked_at >= LOOKED_AT || read >= READ {
            return Ok(looked_at);
        }
    }
}

/// Whether a name is an id that was made longer ago than any credential lives
/// (RFC 9562 5.7: it begins with the milliseconds).
fn is_long_over(name: &str, now: Timestamp) -> bool {
    let Ok(id) = uuid::Uuid::try_parse(name) else {
        return false;
    };
    id.get_timestamp().is_some_and(|made| {
        let (seconds, _) = made.to_unix();
        let made = Timestamp::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX));
        made.plus(LONGEST_LIFE).plus(GRACE) <= now
    })
}

fn as_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn locked(cursor: &Mutex<String>) -> std::sync::MutexGuard<'_, String> {
    cursor.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::CredentialId;

    #[test]
    fn an_id_tells_its_age() {
        let made = Timestamp::from_unix(1_800_000_000);
        let id = CredentialId::mint(made, [3; 10]);
        let after = |seconds: i64| Timestamp::from_unix(1_800_000_000 + seconds);
        assert!(!is_long_over(id.as_str(), after(3659)));
        assert!(is_long_over(id.as_str(), after(3660)));
        assert!(!is_long_over("subject-entity", after(1_000_000)));
    }
}
