//! `locations/…`: named network ranges.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::facts::Cx;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Listing, Reply};
use crate::model::ids::LocationName;

const MAX_CIDRS: usize = 256;

/// A location, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LocationView {
    name: LocationName,
    cidrs: Vec<String>,
}

impl LocationView {
    fn of(name: LocationName, cidrs: &[IpNet]) -> Self {
        Self {
            name,
            cidrs: cidrs.iter().map(ToString::to_string).collect(),
        }
    }
}

/// List the locations.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListLocations {
    /// Show names after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListLocations {
    const PLACE: Place = Place {
        path: "locations",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Location";
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        Ok(Listing::of(cx.facts.locations.list(&self.after, self.limit).await?).into())
    }
}

/// Read a location.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadLocation {
    /// Name of the location.
    name: LocationName,
}

impl Endpoint<Cx> for ReadLocation {
    const PLACE: Place = Place {
        path: "locations/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Location";
    type Output = LocationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<LocationView>> {
        let cidrs = cx.facts.locations.get(&self.name).await?;
        Ok(cidrs
            .map(|cidrs| LocationView::of(self.name, &cidrs))
            .into())
    }
}

/// Name a set of network ranges, for policies to refer to.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteLocation {
    /// Name of the location.
    name: LocationName,
    /// Ranges in CIDR notation, as in `10.0.0.0/8,2001:db8::/32`, written
    /// without host bits.
    cidrs: Vec<String>,
}

impl Endpoint<Cx> for WriteLocation {
    const PLACE: Place = Place {
        path: "locations/{name}",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Location";
    type Output = LocationView;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        match named(input, "name") {
            Some(name) => Ok(Some(cx.facts.locations.get(&name).await?.is_some())),
            None => Ok(None),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<LocationView>> {
        if self.cidrs.is_empty() || self.cidrs.len() > MAX_CIDRS {
            return Err(Error::field(
                "cidrs",
                format_args!("must hold 1 to {MAX_CIDRS} ranges"),
            ));
        }
        let cidrs = self
            .cidrs
            .iter()
            .map(|text| parse(text))
            .collect::<Result<Vec<_>>>()?;
        let check = |is| cx.check_new(is);
        let stored = cx.facts.locations.put(&self.name, cidrs, check).await?;
        Ok(LocationView::of(self.name, &stored).into())
    }
}

/// Host bits are refused rather than dropped: whoever writes them may mean
/// something else.
fn parse(text: &str) -> Result<IpNet> {
    let net: IpNet = text.parse().map_err(|_| {
        Error::field(
            "cidrs",
            format_args!(
                "`{}` is not a range in CIDR notation, as in 10.0.0.0/8",
                text.escape_default()
            ),
        )
    })?;
    if net.trunc() != net {
        return Err(Error::field(
            "cidrs",
            format_args!("`{net}` has host bits set; did you mean `{}`?", net.trunc()),
        ));
    }
    Ok(net)
}

/// Delete a location that no policy names.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteLocation {
    /// Name of the location.
    name: LocationName,
}

impl Endpoint<Cx> for DeleteLocation {
    const PLACE: Place = Place {
        path: "locations/{name}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Location";
    type Output = LocationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<LocationView>> {
        let users = cx
            .facts
            .policies
            .library()
            .await?
            .using_location(&self.name);
        if !users.is_empty() {
            return Err(Error::Invalid(format!(
                "location `{}` is in use by the policies {}; change them first",
                self.name,
                users.join(", ")
            )));
        }
        cx.facts.locations.remove(&self.name).await?;
        Ok(Reply::Nothing)
    }
}
