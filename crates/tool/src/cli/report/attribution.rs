//! Whose doing an event is, and for whom.

use std::rc::Rc;

use super::collect::Collector;
use super::entry::Text;
use super::event::{Event, Kind, Named, Outcome};
use super::grants::Grant;
use super::parties::Id;

impl Collector<'_> {
    /// The agent whose doing it is, and by what credential that is known.
    pub(super) fn agent_of(
        &mut self,
        event: &Event,
        known: Option<Id>,
    ) -> (Option<Id>, Option<Rc<Grant>>) {
        let answered = event.agent.name != Text::None || event.agent.id != Text::None;
        let decided = match &event.outcome {
            Outcome::Allowed | Outcome::ConsentRequired => true,
            Outcome::Refused(code) => is_decision(code),
            Outcome::Failed => false,
        };
        let of = |named: &Named, sure: bool, this: &mut Self| {
            this.parties.of(named, sure, &mut this.left)
        };
        let id = match event.kind {
            Kind::Issue => {
                let named = Named {
                    entity: event.caller.entity.clone(),
                    display: event.caller.display.clone(),
                    ..event.agent.clone()
                };
                let id = of(&named, decided, self);
                id.or_else(|| self.parties.unknown())
            }
            Kind::DryRun => of(
                &Named {
                    name: Text::None,
                    id: Text::None,
                    ..event.caller.clone()
                },
                false,
                self,
            ),
            Kind::Login | Kind::Use => {
                let id = of(&event.agent, answered, self);
                id.or_else(|| self.parties.unknown())
            }
            Kind::Redeem | Kind::Introspect => {
                let grant = self.grants.of(event);
                let by_name = if answered {
                    of(&event.agent, true, self)
                } else {
                    None
                };
                return (grant.as_ref().map(|grant| grant.agent).or(by_name), grant);
            }
            Kind::Suspend
            | Kind::Resume
            | Kind::RevokeAgent
            | Kind::Register
            | Kind::Remove
            | Kind::Read => {
                if event.outcome == Outcome::Allowed {
                    of(&event.agent, true, self)
                } else {
                    // A name that nobody has may be in the path.
                    let name = event.agent.name.clear();
                    name.and_then(|name| self.parties.by_name(name))
                }
            }
            Kind::RequestDelegation if !answered => of(&event.caller, false, self),
            Kind::RequestDelegation
            | Kind::GrantDelegation
            | Kind::ApproveDelegation
            | Kind::DenyDelegation
            | Kind::RevokeDelegation
            | Kind::PassDelegation
            | Kind::ApproveConsent
            | Kind::DenyConsent
            | Kind::RevokeCredentials => {
                if event.outcome == Outcome::Allowed {
                    of(&event.agent, answered, self).or(known)
                } else {
                    let name = event.agent.name.clear();
                    name.and_then(|name| self.parties.by_name(name)).or(known)
                }
            }
        };
        (id, None)
    }

    /// The human it is for.
    pub(super) fn subject_of(&mut self, event: &Event, by: Option<Id>) -> Option<Id> {
        let named = Named {
            entity: event.subject.clone(),
            ..Named::default()
        };
        if named.entity != Text::None {
            return self.parties.of(&named, false, &mut self.left);
        }
        let own = matches!(
            event.kind,
            Kind::GrantDelegation
                | Kind::ApproveDelegation
                | Kind::DenyDelegation
                | Kind::ApproveConsent
                | Kind::DenyConsent
        );
        by.filter(|_| own && event.outcome == Outcome::Allowed)
    }
}

/// Whether the plugin decided about a registered agent, and not the server, or
/// about nobody.
fn is_decision(code: &str) -> bool {
    code.contains('.')
        && code != "agent.unknown"
        && !code.starts_with("server.")
        && !code.starts_with("mount.")
}
