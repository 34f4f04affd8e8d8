//! The decision: every layer judges, and all of them must hold.

use super::decision::{Decision, Limits};
use super::facts::Facts;
use super::guards::{Case, GUARDS, agent};
use super::permit::Permit;
use super::ruling::Terms;
use super::scene::Steps;
use super::verdict::Verdict;
use crate::model::decision::{AccessRequest, Outcome};
use crate::model::time::Ttl;

/// Decides one request.
///
/// Pure: the same request and facts give the same decision, whether it is made
/// to issue a credential or only to know the answer. The only maker of
/// [`Permit`]s.
#[must_use]
pub fn decide(request: &AccessRequest, facts: &Facts) -> Decision {
    let steps = Steps::default();
    let case = Case::new(request, facts, &steps);
    let mut terms = Terms::default();
    let verdicts: Vec<Verdict> = GUARDS
        .iter()
        .map(|judge| judge(&case, &mut terms))
        .collect();

    // INVARIANT: outcomes are ordered by strictness, so that the strictest
    // verdict is the decision; and nothing is allowed that no layer judged.
    let outcome = verdicts
        .iter()
        .map(Verdict::outcome)
        .max()
        .unwrap_or(Outcome::Deny);

    let limits = Limits {
        ttl: terms.ttl.unwrap_or(Ttl::ZERO),
        max_uses: terms.max_uses,
        proof_of_possession: terms.proof_of_possession,
        consent: terms.consent,
    };
    let permit = match outcome {
        Outcome::Allow => Permit::grant(&case, &terms),
        Outcome::ConsentRequired | Outcome::Deny => None,
    };
    let charges = if permit.is_some() {
        terms.charges
    } else {
        Vec::new()
    };
    Decision {
        outcome,
        verdicts,
        limits,
        notes: agent::notes(facts),
        charges,
        permit,
    }
}
