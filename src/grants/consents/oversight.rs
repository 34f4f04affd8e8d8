//! `oversight/consents/…`: all consents, for operators. They see; only the
//! subject can answer.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::grants::Cx;
use crate::grants::MOST_IN_LIST;
use crate::grants::consents::api::{ConsentView, standing, unknown};
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::Result;
use crate::host::framework::response::{Listing, Reply};
use crate::model::ids::ConsentId;

/// List the consents of everybody.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OverseeConsents {
    /// Show ids after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many, up to 1000; 0 shows 100.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for OverseeConsents {
    const PLACE: Place = Place {
        path: "oversight/consents",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        let limit = match self.limit {
            0 => 100,
            limit => limit.min(MOST_IN_LIST),
        };
        let mut listing = Listing::default();
        for name in cx.grants.consents.ids(&self.after, limit).await? {
            let found = match name.parse::<ConsentId>() {
                Ok(id) => cx.grants.consents.get(&id).await?,
                Err(_) => None,
            };
            let Some(consent) = found else {
                continue;
            };
            let info = json!({
                "status": standing(&consent, cx.now),
                "agent": consent.agent_name,
                "agent_id": consent.agent,
                "subject_entity_id": consent.subject,
                "delegation_id": consent.delegation,
                "expires_at": consent.expires_at,
            });
            listing.key_info.insert(name.clone(), info);
            listing.keys.push(name);
        }
        Ok(listing.into())
    }
}

/// Read any consent.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OverseeConsent {
    /// Id of the consent.
    id: ConsentId,
}

impl Endpoint<Cx> for OverseeConsent {
    const PLACE: Place = Place {
        path: "oversight/consents/{id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = ConsentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ConsentView>> {
        match cx.grants.consents.get(&self.id).await? {
            Some(consent) => Ok(ConsentView::of(&consent, cx.now).into()),
            None => Err(unknown(&self.id)),
        }
    }
}
