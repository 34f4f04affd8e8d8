//! The authority matrix: who may, under which circumstances, as one table that
//! changes only on purpose. `UPDATE_GOLDEN=1` rewrites it.

use std::fmt::Write as _;
use std::path::Path;

use vault_plugin_agentic::engine::decide;
use vault_plugin_agentic::engine::facts::ConsentState;
use vault_plugin_agentic::model::agent::Mode;
use vault_plugin_agentic::model::delegation::DelegationStatus;
use vault_plugin_agentic::model::identity::Presence;
use vault_plugin_agentic::model::target::Consent;

use crate::world::{CONSENTS, Cond, HopSpec, Policies, RuleSpec, World, facts, plain, request};

#[test]
fn the_authority_matrix_changes_only_on_purpose() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/authority-matrix.txt");
    let found = matrix();
    #[expect(clippy::disallowed_methods, reason = "a golden is rewritten on demand")]
    let update = std::env::var("UPDATE_GOLDEN").is_ok();
    if update {
        std::fs::write(&path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == found,
        "the matrix changed; run with UPDATE_GOLDEN=1 and look at the difference\n{found}"
    );
}

fn matrix() -> String {
    let mut table = String::from(
        "An agent asks to read; every cell is the outcome and, where it is refused, why.\n",
    );
    for (shape, ceiling) in shapes() {
        let _ = writeln!(table, "\nceiling: {shape}");
        let _ = writeln!(
            table,
            "  {:9}  {:12}  {:11}  {:8}  {:28}  high sensitivity",
            "status", "mode", "consent", "given", "low sensitivity"
        );
        for status in ["active", "suspended", "expired"] {
            for mode in [Mode::Autonomous, Mode::OnBehalfOf] {
                for consent in CONSENTS {
                    for given in ["nothing", "approved"] {
                        let cell =
                            |sensitivity| cell(&ceiling, status, mode, consent, given, sensitivity);
                        let (mode, consent) = (mode.as_str(), consent.as_str());
                        let (low, high) = (cell("low"), cell("high"));
                        let _ = writeln!(
                            table,
                            "  {status:9}  {mode:12}  {consent:11}  {given:8}  {low:28}  {high}"
                        );
                    }
                }
            }
        }
    }
    table
}

fn shapes() -> Vec<(&'static str, Policies)> {
    let low = RuleSpec {
        sensitivity: Some("low"),
        ..plain()
    };
    let high_by_consent = RuleSpec {
        sensitivity: Some("high"),
        consent: Consent::PerRequest,
        ..plain()
    };
    let no_high = RuleSpec {
        deny: true,
        sensitivity: Some("high"),
        ..plain()
    };
    let for_humans = RuleSpec {
        mode: Some(Mode::OnBehalfOf),
        ..plain()
    };
    let failing = |deny| RuleSpec {
        deny,
        condition: Some(Cond::AmountAtMost(5)),
        ..plain()
    };
    vec![
        ("none attached", vec![]),
        ("allow all", vec![vec![plain()]]),
        ("allow low", vec![vec![low.clone()]]),
        (
            "allow low, allow high with consent per request",
            vec![vec![low, high_by_consent]],
        ),
        ("allow all, deny high", vec![vec![plain()], vec![no_high]]),
        ("allow on behalf of a human", vec![vec![for_humans]]),
        (
            "allow, with a condition that fails",
            vec![vec![failing(false)]],
        ),
        (
            "allow all, deny with a condition that fails",
            vec![vec![plain(), failing(true)]],
        ),
    ]
}

fn cell(
    ceiling: &Policies,
    status: &str,
    mode: Mode,
    consent: Consent,
    given: &str,
    sensitivity: &'static str,
) -> String {
    let hop = HopSpec {
        status: DelegationStatus::Active,
        ttl: 300,
        uses_left: None,
        actions: vec!["**"],
    };
    let world = World {
        agent: "bot",
        suspended: status == "suspended",
        agent_ttl: (status == "expired").then_some(0),
        modes: vec![Mode::Autonomous, Mode::OnBehalfOf],
        mode,
        target_known: true,
        target_consent: consent,
        target_ttl: 300,
        sensitivity,
        action: "read",
        resource: "a/1",
        groups: vec!["staff"],
        disabled: false,
        human: true,
        presence: Presence::Present,
        owner_gone: None,
        overdue: None,
        ceiling: ceiling.clone(),
        missing_policy: false,
        baseline: None,
        hops: vec![hop],
        details: None,
        consent: (given == "approved").then_some((ConsentState::Approved, true)),
        address: None,
        hour: 12,
        amount: None,
        ttl: None,
        key: false,
    };
    let decision = decide(&request(&world), &facts(&world));
    decision.reason().map_or_else(
        || "allow".to_owned(),
        |reason| format!("- {}", reason.as_str()),
    )
}
