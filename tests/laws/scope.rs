//! Laws of authorization details, against brute force over small universes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::json;
use vault_plugin_agentic::model::authorization::Scope;

const TARGETS: [&str; 3] = ["a", "b", "ab"];
const ACTIONS: [&str; 2] = ["r", "w"];
const RESOURCES: [&str; 5] = ["", "x", "y", "x/y", "x/y/x"];

fn scope() -> impl Strategy<Value = Scope> {
    let detail = (
        subsequence(&["a", "b", "a*", "*"][..], 1..=2),
        subsequence(&["r", "w", "*"][..], 1..=2),
        subsequence(&["x", "y", "*", "x/*", "x/**", "**/x", "**"][..], 0..=2),
    );
    vec(detail, 0..3).prop_map(|details| {
        let details: Vec<_> = details
            .into_iter()
            .map(|(t, a, r)| json!({ "type": "agentic:action", "targets": t, "actions": a, "resources": r }))
            .collect();
        Scope::from_json(&json!(details)).unwrap()
    })
}

fn points(scope: &Scope) -> Vec<bool> {
    let mut points = Vec::new();
    for target in TARGETS {
        for action in ACTIONS {
            for resource in RESOURCES {
                let (t, a, r) = (
                    target.parse().unwrap(),
                    action.parse().unwrap(),
                    resource.parse().unwrap(),
                );
                points.push(scope.covers_request(&t, &a, &r));
            }
        }
    }
    points
}

fn within(inner: &Scope, outer: &Scope) -> bool {
    points(inner)
        .into_iter()
        .zip(points(outer))
        .all(|(inner, outer)| !inner || outer)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn covering_is_reflexive_and_sound(a in scope(), b in scope()) {
        prop_assert!(a.covers(&a));
        prop_assert!(!a.covers(&b) || within(&b, &a));
    }

    #[test]
    fn covering_is_transitive(a in scope(), b in scope(), c in scope()) {
        let (ab, bc) = (a.intersect(&b), a.intersect(&b).intersect(&c));
        prop_assert!(ab.covers(&bc) && a.covers(&bc));
        prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c));
    }

    #[test]
    fn the_intersection_is_within_both(a in scope(), b in scope()) {
        let shared = a.intersect(&b);
        prop_assert!(a.covers(&shared) && b.covers(&shared));
        prop_assert!(within(&shared, &a) && within(&shared, &b));
        prop_assert_eq!(points(&shared), points(&b.intersect(&a)));
    }

    #[test]
    fn json_gives_back_the_same(a in scope()) {
        let text = serde_json::to_value(&a).unwrap();
        prop_assert_eq!(Scope::from_json(&text).unwrap(), a);
    }
}
