//! What the host knows about itself and about identities.

use async_trait::async_trait;
use tonic::transport::Channel;

use crate::host::framework::error::Result;
use crate::host::framework::system::{Alias, Entity, Group, SystemView};
use crate::host::plugin::client::{host_error, host_status};
use crate::host::plugin::proto::pb;
use crate::host::plugin::proto::pb::system_view_client::SystemViewClient;
use crate::model::ids::EntityId;
use crate::model::time::Ttl;

/// The node is a standby that serves reads.
const PERFORMANCE_STANDBY: i32 = 1 << 14;
/// The cluster is a secondary, whose shared mounts are written elsewhere.
const PERFORMANCE_SECONDARY: i32 = 1 << 6;

/// The system view of one mount.
#[derive(Debug)]
pub(super) struct HostSystem(SystemViewClient<Channel>);

impl HostSystem {
    /// The system view behind `channel`.
    pub(super) fn new(channel: Channel) -> Self {
        Self(
            SystemViewClient::new(channel)
                .max_decoding_message_size(usize::MAX)
                .max_encoding_message_size(usize::MAX),
        )
    }
}

#[async_trait]
impl SystemView for HostSystem {
    async fn entity(&self, id: &EntityId) -> Result<Option<Entity>> {
        let args = pb::EntityInfoArgs {
            entity_id: id.as_str().to_owned(),
        };
        let reply = self.0.clone().entity_info(args).await;
        let reply = reply.map_err(host_status)?.into_inner();
        host_error(reply.err)?;
        Ok(reply.entity.map(|entity| Entity {
            id: entity.id,
            name: entity.name,
            metadata: entity.metadata.into_iter().collect(),
            disabled: entity.disabled,
            aliases: entity
                .aliases
                .into_iter()
                .map(|alias| Alias {
                    mount_type: alias.mount_type,
                    accessor: alias.mount_accessor,
                    name: alias.name,
                    metadata: alias.metadata.into_iter().collect(),
                })
                .collect(),
        }))
    }

    async fn groups(&self, id: &EntityId) -> Result<Vec<Group>> {
        let args = pb::EntityInfoArgs {
            entity_id: id.as_str().to_owned(),
        };
        let reply = self.0.clone().groups_for_entity(args).await;
        let reply = reply.map_err(host_status)?.into_inner();
        host_error(reply.err)?;
        Ok(reply
            .groups
            .into_iter()
            .map(|group| Group {
                id: group.id,
                name: group.name,
            })
            .collect())
    }

    async fn max_lease_ttl(&self) -> Result<Ttl> {
        let reply = self.0.clone().max_lease_ttl(pb::Empty {}).await;
        Ok(Ttl::from_wire(reply.map_err(host_status)?.into_inner().ttl))
    }

    async fn is_read_only(&self) -> Result<bool> {
        let mut client = self.0.clone();
        let reply = client.replication_state(pb::Empty {}).await;
        let state = reply.map_err(host_status)?.into_inner().state;
        if state & PERFORMANCE_STANDBY != 0 {
            return Ok(true);
        }
        if state & PERFORMANCE_SECONDARY == 0 {
            return Ok(false);
        }
        let reply = client.local_mount(pb::Empty {}).await;
        Ok(!reply.map_err(host_status)?.into_inner().local)
    }

    async fn version(&self) -> Result<String> {
        let reply = self.0.clone().plugin_env(pb::Empty {}).await;
        let reply = reply.map_err(host_status)?.into_inner();
        host_error(reply.err)?;
        Ok(reply
            .plugin_environment
            .map(|environment| environment.vault_version)
            .unwrap_or_default())
    }
}
