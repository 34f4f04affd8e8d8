//! The fuzz targets, for a few thousand inputs each: the seeds, and what a
//! simple mutator makes of them. The inputs are the same in each run.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};

use self::targets::{TARGETS, run};

/// Inputs for each target.
const INPUTS: u32 = 4_000;

/// What grammars are made of.
const TOKENS: [&str; 20] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ".",
    "*",
    "**",
    "/",
    "+",
    "\n",
    "null",
    "-1",
    "1e308",
    "${",
    "\u{0}",
    "\u{202e}",
    "=",
    "eyJhbGciOiJub25lIn0",
];

/// One change to an input.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Splice(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    let token = prop::sample::select(TOKENS.as_slice()).prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(i, byte)| Change::Flip(i, byte)),
        (at(), token).prop_map(|(i, text)| Change::Insert(i, text)),
        (at(), prop::collection::vec(any::<u8>(), 1..4)).prop_map(|(i, b)| Change::Insert(i, b)),
        (at(), 1..32_usize).prop_map(|(i, length)| Change::Remove(i, length)),
        (at(), 1..200_usize).prop_map(|(i, times)| Change::Repeat(i, times)),
        (at(), at()).prop_map(|(seed, i)| Change::Splice(seed, i)),
    ]
}

fn changed(mut data: Vec<u8>, changes: &[Change], seeds: &[Vec<u8>]) -> Vec<u8> {
    for change in changes {
        let place = |i: &prop::sample::Index| i.index(data.len() + 1);
        match change {
            Change::Flip(i, byte) if !data.is_empty() => {
                let at = i.index(data.len());
                data[at] ^= byte;
            }
            Change::Flip(_, byte) => data.push(*byte),
            Change::Insert(i, bytes) => {
                let at = place(i);
                data.splice(at..at, bytes.iter().copied());
            }
            Change::Remove(i, length) => {
                let at = place(i);
                let end = data.len().min(at + length);
                data.drain(at..end);
            }
            Change::Repeat(i, times) => {
                let at = place(i);
                let piece = data[at..data.len().min(at + 8)].repeat(*times);
                data.splice(at..at, piece);
            }
            Change::Splice(seed, i) => {
                let other = seed.get(seeds);
                let at = place(i);
                data.truncate(at);
                data.extend(&other[other.len().min(at)..]);
            }
        }
    }
    data
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory().join(target)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds")
}

fn smoke(target: &str) {
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{target} has no seeds");
    for seed in &seeds {
        run(target, seed);
    }
    let config = Config {
        cases: INPUTS,
        failure_persistence: None,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(config.rng_algorithm);
    let inputs = (
        prop::sample::select(seeds.clone()),
        prop::collection::vec(change(), 0..8),
    );
    let result = TestRunner::new_with_rng(config, random).run(&inputs, |(seed, changes)| {
        run(target, &changed(seed, &changes, &seeds));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{target}: {error}");
    }
}

macro_rules! smoke {
    ($($target:ident),* $(,)?) => {
        $(#[test] fn $target() { smoke(stringify!($target)); })*

        #[test]
        fn every_target_is_run_here_and_by_libfuzzer() {
            let known: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(known, [$(stringify!($target).to_owned()),*].into());
            let files = fs::read_dir(directory().join("../fuzz_targets")).unwrap();
            let files = files.map(|file| file.unwrap().path());
            let names = files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned());
            assert_eq!(known, names.collect());
        }
    };
}

smoke! { audit_log, coerce, condition, dpop, jwk, jws, pattern, policy_text, route, spki, vault_path }
