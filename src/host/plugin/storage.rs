//! A mount's storage, which the host keeps.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tonic::Code;
use tonic::transport::Channel;

use crate::host::framework::error::{Error, Result};
use crate::host::framework::storage::{Storage, Write};
use crate::host::plugin::client::{host_error, host_status};
use crate::host::plugin::proto::pb;
use crate::host::plugin::proto::pb::storage_client::StorageClient;

/// The storage of one mount.
#[derive(Debug)]
pub(super) struct HostStorage {
    client: StorageClient<Channel>,
    transactional: OnceCell<bool>,
    /// Whether the host turned out not to know pages. HashiCorp Vault does not.
    unpaged: AtomicBool,
}

impl HostStorage {
    /// The storage behind `channel`.
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            client: StorageClient::new(channel)
                .max_decoding_message_size(usize::MAX)
                .max_encoding_message_size(usize::MAX),
            transactional: OnceCell::new(),
            unpaged: AtomicBool::new(false),
        }
    }

    async fn page(&self, prefix: &str, after: &str, limit: u32) -> Result<Option<Vec<String>>> {
        if self.unpaged.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let args = pb::StorageListPageArgs {
            prefix: prefix.to_owned(),
            after: after.to_owned(),
            limit: i32::try_from(limit).unwrap_or(i32::MAX),
            txn: String::new(),
        };
        match self.client.clone().list_page(args).await {
            Ok(reply) => {
                let reply = reply.into_inner();
                host_error(reply.err)?;
                Ok(Some(reply.keys))
            }
            Err(status) if status.code() == Code::Unimplemented => {
                self.unpaged.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(status) => Err(host_status(status)),
        }
    }

    async fn all(&self, prefix: &str) -> Result<Vec<String>> {
        let args = pb::StorageListArgs {
            prefix: prefix.to_owned(),
            txn: String::new(),
        };
        let reply = self.client.clone().list(args).await.map_err(host_status)?;
        let reply = reply.into_inner();
        host_error(reply.err)?;
        Ok(reply.keys)
    }

    async fn is_transactional(&self) -> Result<bool> {
        self.transactional
            .get_or_try_init(|| async {
                match self.client.clone().is_transactional(pb::Empty {}).await {
                    Ok(reply) => Ok(reply.into_inner().transactional),
                    Err(status) if status.code() == Code::Unimplemented => Ok(false),
                    Err(status) => Err(host_status(status)),
                }
            })
            .await
            .copied()
    }
}

#[async_trait]
impl Storage for HostStorage {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let args = pb::StorageGetArgs {
            key: key.to_owned(),
            txn: String::new(),
        };
        let reply = self.client.clone().get(args).await.map_err(host_status)?;
        let reply = reply.into_inner();
        host_error(reply.err)?;
        Ok(reply.entry.map(|entry| entry.value))
    }

    async fn list(&self, prefix: &str, after: &str, limit: u32) -> Result<Vec<String>> {
        if after.is_empty() && limit == 0 {
            return self.all(prefix).await;
        }
        if let Some(keys) = self.page(prefix, after, limit).await? {
            return Ok(keys);
        }
        Ok(slice(self.all(prefix).await?, after, limit))
    }

    /// Runs by itself, so that a caller who gives up between two writes cannot
    /// leave a transaction open at the host.
    async fn commit(&self, writes: Vec<Write>) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let together = writes.len() > 1 && self.is_transactional().await?;
        let client = self.client.clone();
        tokio::spawn(async move {
            if together {
                transact(client, writes, None).await
            } else {
                write_all(&client, writes, "").await
            }
        })
        .await
        .map_err(|error| Error::Internal(format!("a commit did not end: {error}")))?
    }

    async fn replace(&self, key: &str, seen: &[u8], value: Vec<u8>) -> Result<()> {
        let seen = self.is_transactional().await?.then(|| seen.to_vec());
        let client = self.client.clone();
        let write = Write::Put {
            key: key.to_owned(),
            value,
            seal_wrap: false,
        };
        tokio::spawn(async move {
            match seen {
                Some(seen) => transact(client, vec![write], Some(seen)).await,
                None => write_all(&client, vec![write], "").await,
            }
        })
        .await
        .map_err(|error| Error::Internal(format!("a commit did not end: {error}")))?
    }
}

/// The page of a whole list that a host without pages would not cut.
fn slice(mut keys: Vec<String>, after: &str, limit: u32) -> Vec<String> {
    keys.sort_unstable();
    keys.retain(|key| key.as_str() > after);
    if limit > 0 {
        keys.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    keys
}

/// All writes in one transaction. Its id is used by nobody else and never
/// again: the host takes a write under an id that it does not know, or no
/// longer, as one outside of any transaction.
///
/// With `seen`, the first write's key must hold that when the transaction is
/// committed: the host verifies what a transaction has read.
async fn transact(
    mut client: StorageClient<Channel>,
    writes: Vec<Write>,
    seen: Option<Vec<u8>>,
) -> Result<()> {
    let begun = client.begin_tx(pb::Empty {}).await.map_err(host_status)?;
    let begun = begun.into_inner();
    host_error(begun.err)?;
    if begun.txn.is_empty() {
        return Err(Error::Internal(
            "the host began a transaction without an id".to_owned(),
        ));
    }
    let done = match still(&client, &writes, seen, &begun.txn).await {
        Ok(()) => write_all(&client, writes, &begun.txn).await,
        Err(error) => Err(error),
    };
    let done = match done {
        Ok(()) => commit(&mut client, &begun.txn).await,
        Err(error) => Err(error),
    };
    if done.is_err() {
        let args = pb::StorageRollbackTxArgs { txn: begun.txn };
        if let Err(status) = client.rollback(args).await {
            tracing::debug!(code = ?status.code(), "a rollback failed");
        }
    }
    done
}

/// Whether the first write's key still holds what was seen there.
async fn still(
    client: &StorageClient<Channel>,
    writes: &[Write],
    seen: Option<Vec<u8>>,
    txn: &str,
) -> Result<()> {
    let (Some(seen), Some(write)) = (seen, writes.first()) else {
        return Ok(());
    };
    let args = pb::StorageGetArgs {
        key: write.key().to_owned(),
        txn: txn.to_owned(),
    };
    let reply = client.clone().get(args).await.map_err(host_status)?;
    let reply = reply.into_inner();
    host_error(reply.err)?;
    if reply.entry.is_some_and(|entry| entry.value == seen) {
        Ok(())
    } else {
        Err(Error::Conflict("it has changed meanwhile".to_owned()))
    }
}

async fn commit(client: &mut StorageClient<Channel>, txn: &str) -> Result<()> {
    let args = pb::StorageCommitTxArgs {
        txn: txn.to_owned(),
    };
    let reply = client.commit(args).await.map_err(host_status)?;
    host_error(reply.into_inner().err)
}

/// The writes in order, up to the first failure. Each reply counts: on a
/// standby a write is refused, and the commit of what is left succeeds.
async fn write_all(client: &StorageClient<Channel>, writes: Vec<Write>, txn: &str) -> Result<()> {
    let mut client = client.clone();
    for write in writes {
        let txn = txn.to_owned();
        let error = match write {
            Write::Put {
                key,
                value,
                seal_wrap,
            } => {
                let entry = Some(pb::StorageEntry {
                    key,
                    value,
                    seal_wrap,
                });
                let reply = client.put(pb::StoragePutArgs { entry, txn }).await;
                reply.map_err(host_status)?.into_inner().err
            }
            Write::Delete { key } => {
                let reply = client.delete(pb::StorageDeleteArgs { key, txn }).await;
                reply.map_err(host_status)?.into_inner().err
            }
        };
        host_error(error)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_comes_after() {
        let keys = || ["c", "a/", "b"].map(str::to_owned).to_vec();
        assert_eq!(slice(keys(), "", 0), ["a/", "b", "c"]);
        assert_eq!(slice(keys(), "a/", 1), ["b"]);
        assert_eq!(slice(keys(), "b", 5), ["c"]);
        assert!(slice(keys(), "c", 5).is_empty());
    }
}
