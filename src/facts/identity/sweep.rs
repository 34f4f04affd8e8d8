//! What is looked at in the background: the aliases of agents, which issuer
//! vouches for them, and whether marks of deleted agents can still be used.

use std::collections::BTreeSet;

use crate::facts::Cx;
use crate::facts::identity::cursor::{move_on, place};
use crate::facts::identity::presence;
use crate::host::framework::error::Result;
use crate::model::identity::AliasKey;
use crate::model::ids::AgentId;

/// How many agents, and how many deleted ones, are looked at each time.
const AT_ONCE: u32 = 200;

/// Looks at some agents, and remembers what was seen of any.
///
/// # Errors
/// If storage or the host cannot say.
pub async fn sweep(cx: &Cx) -> Result<()> {
    if cx.is_standby() {
        return Ok(());
    }
    let ids = cx
        .facts
        .agents
        .ids(&place(&cx.facts.swept.agents), AT_ONCE)
        .await?;
    move_on(&cx.facts.swept.agents, &ids);
    for id in ids.iter().filter_map(|id| id.parse::<AgentId>().ok()) {
        let Some(agent) = cx.facts.agents.get(&id).await? else {
            continue;
        };
        presence::of_agent(cx, &agent).await?;
        if agent.issuer_record.is_none() && !agent.issuer.is_empty() {
            let issuer = cx.facts.issuers.by_issuer_id(&agent.issuer).await?;
            cx.facts.agents.saw(
                &agent,
                &BTreeSet::new(),
                issuer.as_ref().map(|issuer| &issuer.id),
            );
        }
    }
    cx.facts.agents.remember().await?;
    let ids = cx
        .facts
        .agents
        .former_ids(&place(&cx.facts.swept.former), AT_ONCE)
        .await?;
    move_on(&cx.facts.swept.former, &ids);
    for id in ids.iter().filter_map(|id| id.parse::<AgentId>().ok()) {
        drop_dead_aliases(cx, &id).await?;
    }
    Ok(())
}

/// Nobody logs in by an alias whose auth mount is gone, and the host never uses
/// an accessor again.
async fn drop_dead_aliases(cx: &Cx, id: &AgentId) -> Result<()> {
    let Some(former) = cx.facts.agents.former(id).await? else {
        return Ok(());
    };
    let Some(entity) = cx.host.system.entity(&former.entity_id).await? else {
        return Ok(());
    };
    let gone: BTreeSet<AliasKey> = entity
        .aliases
        .iter()
        .filter(|alias| alias.mount_type.is_empty())
        .map(|alias| AliasKey::new(&alias.accessor, &alias.name))
        .filter(|alias| former.aliases.contains(alias))
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    cx.facts.agents.drop_aliases(id, &gone).await
}
