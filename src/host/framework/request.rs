//! One request, as the host sends it, and the context a handler works in.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value};

use crate::host::framework::error::{Error, Result};
use crate::model::ids::EntityId;
use crate::model::text;
use crate::model::time::{Clock, Timestamp, Ttl};

/// What the host asks for. Operations that are not listed never get this far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// A write to something that does not exist yet.
    Create,
    /// GET.
    Read,
    /// A write.
    Update,
    /// DELETE.
    Delete,
    /// LIST.
    List,
    /// What does this path do?
    Help,
    /// The host's periodic call, about every minute.
    Periodic,
    /// A lease of ours is to be renewed.
    Renew,
    /// A lease of ours has ended.
    Revoke,
}

/// Who makes a request, as far as the host says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The identity entity of the caller's token. A root token has none.
    pub entity_id: Option<EntityId>,
    /// The token's display name.
    pub display_name: String,
    /// The address of the connection.
    pub remote_addr: Option<IpAddr>,
}

impl Caller {
    /// How records name the caller: by entity where there is one.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.entity_id {
            Some(id) => id.as_str().to_owned(),
            None => self
                .display_name
                .chars()
                .filter(|c| !text::is_unsafe(*c))
                .take(128)
                .collect(),
        }
    }
}

/// What the host kept of a lease or a login of ours, when it asks to renew it
/// or says that it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What we gave the host to keep.
    pub internal: Map<String, Value>,
    /// When the lease or token was made.
    pub issued_at: Option<Timestamp>,
    /// How much longer its holder asks for; zero if that was left open.
    pub increment: Ttl,
}

/// What a refusal says besides its text: facts that the server's audit log shows
/// and the caller may see. Shared by a request and its context.
#[derive(Clone, Debug, Default)]
pub struct Noted(Arc<Mutex<Map<String, Value>>>);

impl Noted {
    /// Notes facts, in place of those before.
    pub fn put(&self, facts: Map<String, Value>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = facts;
    }

    /// Whether nothing was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Takes what was noted.
    #[must_use]
    pub fn take(&self) -> Map<String, Value> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The host's id for it, which its audit log shows.
    pub id: String,
    /// What is asked.
    pub operation: Operation,
    /// Relative to the mount.
    pub path: String,
    /// The body or the query.
    pub data: Map<String, Value>,
    /// The headers that the mount is tuned to pass through, by lower-case name.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Who asks.
    pub caller: Caller,
    /// Where the host has mounted us, as `agentic/` or `auth/agentic/`.
    pub mount_point: String,
    /// Whether the host did not authenticate the caller.
    pub unauthenticated: bool,
    /// What a refusal of it says besides its text.
    pub noted: Noted,
    /// The lease that is to be renewed, or has ended.
    pub lease: Option<Kept>,
    /// The login that is to be renewed.
    pub login: Option<Kept>,
}

/// One request as all see it: who asks, what, and when.
#[derive(Debug)]
pub struct Context {
    /// The host's id for the request.
    pub request_id: String,
    /// What is asked.
    pub operation: Operation,
    /// Who asks.
    pub caller: Caller,
    /// Where the host has mounted us.
    pub mount_point: String,
    /// The headers that the mount is tuned to pass through, by lower-case name.
    pub headers: BTreeMap<String, Vec<String>>,
    /// What a refusal says besides its text.
    pub noted: Noted,
    /// The one instant of this request.
    pub now: Timestamp,
    clock: Option<Arc<dyn Clock>>,
    /// What was found out about the caller, once for the request.
    pub known: Known,
    rng: SystemRandom,
}

/// A place for what a room further up finds out once for a request, of a type
/// that this one does not know.
#[derive(Clone, Default)]
pub struct Known(Arc<OnceLock<Arc<dyn Any + Send + Sync>>>);

impl Known {
    /// What was kept, if it is of this type.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(self.0.get()?).downcast().ok()
    }

    /// Keeps something, unless there is something already.
    pub fn keep<T: Any + Send + Sync>(&self, known: &Arc<T>) {
        let _ = self.0.set(Arc::clone(known) as Arc<dyn Any + Send + Sync>);
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

impl Context {
    /// The context of `request`, at the instant that `clock` shows.
    #[must_use]
    pub fn live(request: &Request, clock: &Arc<dyn Clock>) -> Self {
        Self {
            clock: Some(Arc::clone(clock)),
            ..Self::new(request, clock.now())
        }
    }

    /// The context of `request`, at `now`, for good.
    #[must_use]
    pub fn new(request: &Request, now: Timestamp) -> Self {
        Self {
            request_id: request.id.clone(),
            operation: request.operation,
            caller: request.caller.clone(),
            mount_point: request.mount_point.clone(),
            noted: request.noted.clone(),
            headers: request.headers.clone(),
            now,
            clock: None,
            known: Known::default(),
            rng: SystemRandom::new(),
        }
    }

    /// The same request later: what waited for somebody else is judged by the
    /// time at which it goes on.
    #[must_use]
    pub fn resumed(&self) -> Self {
        Self {
            request_id: self.request_id.clone(),
            operation: self.operation,
            caller: self.caller.clone(),
            mount_point: self.mount_point.clone(),
            headers: self.headers.clone(),
            noted: self.noted.clone(),
            now: self.clock().now().max(self.now),
            clock: self.clock.clone(),
            // Whoever it was, is asked anew.
            known: Known::default(),
            rng: self.rng.clone(),
        }
    }

    /// The clock, for those who wait.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        match &self.clock {
            Some(clock) => &**clock,
            None => &self.now,
        }
    }

    /// The source of randomness.
    #[must_use]
    pub const fn rng(&self) -> &SystemRandom {
        &self.rng
    }

    /// A write that the host took for a new thing, by its existence check and
    /// so by the caller's ACL, makes one: it changes none that is there.
    ///
    /// # Errors
    /// [`Error::Conflict`] if there `is` one by now.
    pub fn check_new(&self, is: bool) -> Result<()> {
        if is && self.operation == Operation::Create {
            return Err(Error::Conflict(
                "it was made by somebody else meanwhile; look at it, and write again to change it"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Random bytes.
    ///
    /// # Errors
    /// If the operating system gives none.
    pub fn random<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.rng.fill(&mut bytes).map_err(|_| {
            Error::Internal("the operating system gives no random bytes".to_owned())
        })?;
        Ok(bytes)
    }
}
