//! `act` and `may_act` (RFC 8693 4.1, 4.4).

use serde_json::{Map, Value};

use super::{ClaimError, read};

/// The most actors in one token, the current one counted.
pub const MAX_ACTORS: usize = 8;

/// Somebody, as their issuer names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// `sub`.
    pub subject: String,
    /// `iss`, if the token's issuer did not name them itself.
    pub issuer: Option<String>,
    /// `client_id`.
    pub client_id: Option<String>,
}

impl Party {
    fn read(members: &Map<String, Value>, claim: &'static str) -> Result<Self, ClaimError> {
        let text = |name| read::text(members, name).map_err(|_| ClaimError::Malformed { claim });
        Ok(Self {
            subject: text("sub")?.ok_or(ClaimError::Malformed { claim })?,
            issuer: text("iss")?,
            client_id: text("client_id")?,
        })
    }

    /// Reads `may_act`. A member that we do not know narrows who is meant, so
    /// it is refused: ignoring it would mean more people.
    pub(super) fn read_may_act(claims: &Map<String, Value>) -> Result<Option<Self>, ClaimError> {
        const CLAIM: &str = "may_act";
        let Some(value) = claims.get(CLAIM) else {
            return Ok(None);
        };
        let members = value
            .as_object()
            .ok_or(ClaimError::Malformed { claim: CLAIM })?;
        if members
            .keys()
            .any(|name| !["sub", "iss", "client_id"].contains(&name.as_str()))
        {
            return Err(ClaimError::Malformed { claim: CLAIM });
        }
        Self::read(members, CLAIM).map(Some)
    }
}

/// The chain of actors, the current one first. Only the first may drive a
/// decision; the others are history (RFC 8693 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    history: Vec<Party>,
    current: Party,
}

impl Actor {
    /// Who is acting.
    #[must_use]
    pub const fn current(&self) -> &Party {
        &self.current
    }

    /// Those that acted before, the latest first.
    #[must_use]
    pub fn history(&self) -> &[Party] {
        &self.history
    }

    /// How many actors there are.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.history.len().saturating_add(1)
    }

    pub(super) fn read(claims: &Map<String, Value>) -> Result<Option<Self>, ClaimError> {
        let Some(current) = next(claims)? else {
            return Ok(None);
        };
        let mut history = Vec::new();
        let mut members = current;
        while let Some(inner) = next(members)? {
            history.push(Party::read(inner, "act")?);
            if history.len() >= MAX_ACTORS {
                return Err(ClaimError::TooManyActors);
            }
            members = inner;
        }
        Ok(Some(Self {
            current: Party::read(current, "act")?,
            history,
        }))
    }
}

/// The members of `act` inside `members`. Times and audiences mean nothing in
/// there, so whoever wrote one meant something that we do not do.
fn next(members: &Map<String, Value>) -> Result<Option<&Map<String, Value>>, ClaimError> {
    let Some(value) = members.get("act") else {
        return Ok(None);
    };
    let inner = value
        .as_object()
        .ok_or(ClaimError::Malformed { claim: "act" })?;
    if ["exp", "nbf", "aud"]
        .into_iter()
        .any(|name| inner.contains_key(name))
    {
        return Err(ClaimError::Malformed { claim: "act" });
    }
    Ok(Some(inner))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Claims;
    use super::*;

    fn read(claim: &str, value: Value) -> Result<Claims, ClaimError> {
        Claims::read(Map::from_iter([(claim.to_owned(), value)]))
    }

    #[test]
    fn actors_are_read_outermost_first() {
        let act = json!({"sub": "c", "iss": "https://i", "act": {"sub": "b", "client_id": "cb", "act": {"sub": "a"}}});
        let actor = read("act", act).unwrap().actor.unwrap();
        assert_eq!(actor.current().subject, "c");
        assert_eq!(actor.current().issuer.as_deref(), Some("https://i"));
        let history: Vec<&str> = actor
            .history()
            .iter()
            .map(|party| party.subject.as_str())
            .collect();
        assert_eq!((history, actor.depth()), (vec!["b", "a"], 3));
    }

    #[test]
    fn a_bad_actor_is_refused_at_any_depth() {
        let bad = ClaimError::Malformed { claim: "act" };
        for act in [
            json!("agent"),
            json!(null),
            json!([]),
            json!({}),
            json!({"sub": 1}),
            json!({"sub": ""}),
            json!({"iss": "x"}),
            json!({"sub": "a", "exp": 1}),
            json!({"sub": "a", "nbf": 0}),
            json!({"sub": "a", "aud": "x"}),
        ] {
            assert_eq!(read("act", act.clone()), Err(bad.clone()), "{act}");
            let outer = json!({"sub": "z", "act": act});
            assert_eq!(read("act", outer), Err(bad.clone()));
        }
    }

    #[test]
    fn the_chain_has_an_end() {
        let nested = |depth: usize| {
            (1..depth).fold(
                json!({"sub": "a"}),
                |inner, _| json!({"sub": "b", "act": inner}),
            )
        };
        let deepest = read("act", nested(MAX_ACTORS)).unwrap().actor.unwrap();
        assert_eq!(deepest.depth(), MAX_ACTORS);
        assert_eq!(
            read("act", nested(MAX_ACTORS + 1)),
            Err(ClaimError::TooManyActors)
        );
    }

    #[test]
    fn may_act_names_one_party_and_nothing_unknown() {
        let party = read("may_act", json!({"sub": "a", "iss": "i"}))
            .unwrap()
            .may_act
            .unwrap();
        assert_eq!(
            party,
            Party {
                subject: "a".to_owned(),
                issuer: Some("i".to_owned()),
                client_id: None
            }
        );
        for value in [
            json!("a"),
            json!(null),
            json!({}),
            json!({"iss": "i"}),
            json!({"sub": "a", "acr": "high"}),
            json!(["a"]),
        ] {
            assert_eq!(
                read("may_act", value),
                Err(ClaimError::Malformed { claim: "may_act" })
            );
        }
    }
}
