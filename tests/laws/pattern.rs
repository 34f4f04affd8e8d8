//! Patterns against brute force.

use proptest::prelude::*;
use vault_plugin_agentic::model::pattern::Pattern;

fn matches(pattern: &[&str], value: &[&str]) -> bool {
    match (pattern.split_first(), value.split_first()) {
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some((&"**", rest)), Some((_, others))) => {
            matches(rest, others) || matches(pattern, others)
        }
        (Some((first, rest)), Some((other, others))) => {
            segment(first.as_bytes(), other.as_bytes()) && matches(rest, others)
        }
    }
}

fn segment(pattern: &[u8], value: &[u8]) -> bool {
    match pattern.split_first() {
        None => value.is_empty(),
        Some((b'*', rest)) => (0..=value.len()).any(|skip| segment(rest, &value[skip..])),
        Some((first, rest)) => value.first() == Some(first) && segment(rest, &value[1..]),
    }
}

fn universe() -> Vec<String> {
    let mut segments: Vec<String> = vec![];
    for length in 1..=3 {
        for bits in 0..(1 << length) {
            segments.push(
                (0..length)
                    .map(|bit| if bits >> bit & 1 == 0 { 'a' } else { 'b' })
                    .collect(),
            );
        }
    }
    let mut values = segments.clone();
    for first in &segments[..6] {
        for second in &segments[..6] {
            values.push(format!("{first}/{second}"));
            values.push(format!("{first}/{second}/a"));
        }
    }
    values
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let segment = prop_oneof![2 => "[ab*]{1,3}".prop_filter("no **", |s| !s.contains("**")), 1 => Just("**".to_owned())];
    proptest::collection::vec(segment, 1..4)
        .prop_map(|segments| segments.join("/").parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn matching_equals_brute_force(pattern in pattern()) {
        let segments: Vec<_> = pattern.as_str().split('/').collect();
        for value in universe() {
            let expected = matches(&segments, &value.split('/').collect::<Vec<_>>());
            prop_assert_eq!(pattern.matches(&value), expected, "{} against {}", pattern, value);
        }
    }

    #[test]
    fn covering_is_reflexive_sound_and_transitive(a in pattern(), b in pattern(), c in pattern()) {
        prop_assert!(a.covers(&a), "{}", a);
        if a.covers(&b) {
            for value in universe() {
                prop_assert!(!b.matches(&value) || a.matches(&value), "{} over {} at {}", a, b, value);
            }
            prop_assert!(!b.covers(&c) || a.covers(&c), "{} over {} over {}", a, b, c);
        }
    }
}
