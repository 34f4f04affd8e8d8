//! How often a decision allocates. Counted, so the same in every run. Apart from
//! the other benches: the counting allocator would slow them down.
#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a bench is no server"
)]

use std::hint::black_box;

use vault_plugin_agentic::engine::decide;

use crate::case::{Shape, case};

mod case;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    let _profiler = dhat::Profiler::builder().testing().build();
    println!("allocations per decision");
    println!(
        "{:>7}  {:>13}  {:>13}  {:>13}",
        "rules", "cannot apply", "all apply", "denied"
    );
    for rules in [1, 10, 100, 1_000] {
        let count = |shape| {
            let (request, facts) = case(rules, shape);
            let before = dhat::HeapStats::get().total_blocks;
            black_box(decide(black_box(&request), black_box(&facts)));
            dhat::HeapStats::get().total_blocks - before
        };
        println!(
            "{rules:>7}  {:>13}  {:>13}  {:>13}",
            count(Shape::OneApplies),
            count(Shape::AllApply),
            count(Shape::NoneApplies),
        );
    }
}
