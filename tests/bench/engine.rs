//! What a decision costs, as ratios within one run: times of one machine mean
//! nothing on another, and clocks on shared cores lie.
#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    reason = "a bench is no server"
)]

use std::hint::black_box;
use std::time::Instant;

use ring::signature::Ed25519KeyPair;
use vault_plugin_agentic::engine::decide;
use vault_plugin_agentic::model::decision::Outcome;

use crate::case::{Shape, case};

mod case;

fn main() {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let message = [0_u8; 512];
    let signature = nanos(|| {
        black_box(key.sign(black_box(&message)));
    });

    println!("decision against one Ed25519 signature of 512 bytes (1.00 = as dear)");
    println!(
        "{:>7}  {:>13}  {:>13}  {:>13}",
        "rules", "cannot apply", "all apply", "denied+why"
    );
    for rules in [1, 10, 100, 1_000, 10_000] {
        let ratio = |shape, expected, explained| {
            let (request, facts) = case(rules, shape);
            assert_eq!(decide(&request, &facts).outcome, expected);
            let decision = nanos(|| {
                let decision = decide(black_box(&request), black_box(&facts));
                if explained {
                    drop(black_box(decision.explain(&request, &facts)));
                }
                drop(black_box(decision));
            });
            decision / signature
        };
        println!(
            "{rules:>7}  {:>13.2}  {:>13.2}  {:>13.2}",
            ratio(Shape::OneApplies, Outcome::Allow, false),
            ratio(Shape::AllApply, Outcome::Allow, false),
            ratio(Shape::NoneApplies, Outcome::Deny, true),
        );
    }
}

/// The least time of one call, over several rounds.
fn nanos(mut call: impl FnMut()) -> f64 {
    let mut least = f64::MAX;
    for _ in 0..7 {
        let (begin, mut calls) = (Instant::now(), 0_u32);
        while begin.elapsed().as_millis() < 20 {
            call();
            calls += 1;
        }
        least = least.min(begin.elapsed().as_nanos() as f64 / f64::from(calls));
    }
    least
}
