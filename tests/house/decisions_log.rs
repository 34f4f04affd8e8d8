//! The decision log: what is kept, what is found again, and what shows that
//! somebody tampered with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use vault_plugin_agentic::facts::config::store::Config;
use vault_plugin_agentic::host::framework::memory::{FakeSystem, MemoryStorage};
use vault_plugin_agentic::host::framework::request::{Context, Operation};
use vault_plugin_agentic::host::framework::storage::Storage;
use vault_plugin_agentic::host::framework::system::SystemView;
use vault_plugin_agentic::model::decision::Outcome;
use vault_plugin_agentic::model::ids::{AgentId, DecisionId};
use vault_plugin_agentic::model::time::{Timestamp, Ttl};
use vault_plugin_agentic::mount::state::{Cx, State};
use vault_plugin_agentic::record::decisions::entry::{Entry, Kind};
use vault_plugin_agentic::record::decisions::search::{Filter, search};
use vault_plugin_agentic::record::decisions::store::{MOST_PENDING, MOST_STRANGERS};
use vault_plugin_agentic::record::decisions::{log, verify};

use crate::world::{START, World};

const DAY: u64 = 24 * 3600;

/// A state of its own, without a mount around it.
struct Log {
    storage: Arc<MemoryStorage>,
    state: Arc<State>,
}

impl Log {
    fn new(retention: u64, memory: u32) -> Self {
        Self::over(Arc::new(MemoryStorage::default()), retention, memory)
    }

    /// As after a restart.
    fn over(storage: Arc<MemoryStorage>, retention: u64, memory: u32) -> Self {
        let host: Arc<dyn Storage> = Arc::clone(&storage) as _;
        let system = Arc::new(FakeSystem::default()) as Arc<dyn SystemView>;
        let state = Arc::new(State::new(&host, system, "agentic"));
        state.host.set_standby(false);
        let config = Config {
            decision_retention: Ttl::from_secs(retention),
            decision_memory: memory,
            ..Config::default()
        };
        log::tune(&state.record, (&config).into());
        Self { storage, state }
    }

    fn cx(&self, second: i64) -> Cx {
        let request = crate::world::request(Operation::Update, "creds/issue", json!({}), None);
        let request = Context::new(&request, Timestamp::from_unix(second));
        self.state.context(request)
    }

    /// The `number`th decision: every seventh by the agent `rare`, every third
    /// refused.
    fn decide(&self, number: i64) -> DecisionId {
        let outcome = if number % 3 == 0 {
            Outcome::Deny
        } else {
            Outcome::Allow
        };
        let cx = self.cx(START.saturating_add(number));
        let rare = number % 7 == 0;
        let entry = Entry {
            agent: if rare { "rare" } else { "bot" }.to_owned(),
            agent_id: Some(AgentId::mint(Timestamp::EPOCH, [u8::from(rare); 10])),
            target: "crm".to_owned(),
            action: "read".to_owned(),
            resource: format!("customers/{number}"),
            ..log::entry(&cx, Kind::Issue, outcome)
        };
        let id = entry.id.clone();
        log::record(&cx, entry);
        id
    }

    /// What somebody does that is no agent.
    fn stranger(&self, number: i64) {
        let cx = self.cx(START.saturating_add(number));
        let entry = Entry {
            resource: format!("customers/{number}"),
            ..log::entry(&cx, Kind::Login, Outcome::Deny)
        };
        log::record(&cx, entry);
    }

    async fn flush(&self) {
        while self.state.record.journal.pending() > 0 {
            self.state.record.journal.flush().await.unwrap();
        }
    }

    /// Every resource, page by page, the latest first.
    async fn pages(&self, filter: &Filter, limit: u32) -> Vec<i64> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = search(&self.state.record, filter, after.as_ref(), limit)
                .await
                .unwrap();
            assert!(page.entries.len() <= usize::try_from(limit).unwrap());
            all.extend(page.entries.iter().map(|entry| number(entry)));
            match page.next {
                Some(next) => after = Some(next),
                None => return all,
            }
        }
    }

    /// What verifying the whole log finds.
    async fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        let mut from = 0;
        loop {
            let found = verify::verify(&self.state.record.journal, from, None)
                .await
                .unwrap();
            assert_eq!(found.ok, found.findings.is_empty());
            findings.extend(found.findings);
            if found.next == 0 {
                return findings;
            }
            from = found.next;
        }
    }

    fn segments(&self) -> Vec<String> {
        let mut keys = self.storage.keys();
        keys.retain(|key| key.starts_with("decision-log/"));
        keys
    }
}

fn number(entry: &Entry) -> i64 {
    entry
        .resource
        .strip_prefix("customers/")
        .unwrap()
        .parse()
        .unwrap()
}

fn countdown(to: i64) -> Vec<i64> {
    (1..=to).rev().collect()
}

#[tokio::test]
async fn every_page_follows_the_one_before_over_memory_and_storage() {
    for memory in [1, 50, 5_000] {
        let log = Log::new(DAY, memory);
        for number in 1..=1_500 {
            log.decide(number);
        }
        log.flush().await;
        // Some wait to be stored, and memory may not hold them all.
        for number in 1_501..=1_700 {
            log.decide(number);
        }
        for limit in [7, 100, 1_000] {
            assert_eq!(
                log.pages(&Filter::default(), limit).await,
                countdown(1_700),
                "{memory} {limit}"
            );
        }
    }
}

#[tokio::test]
async fn filters_find_what_they_name_and_nothing_else() {
    let log = Log::new(DAY, 100);
    for number in 1..=2_000 {
        log.decide(number);
    }
    log.flush().await;
    let of = |keep: fn(i64) -> bool| {
        countdown(2_000)
            .into_iter()
            .filter(move |n| keep(*n))
            .collect::<Vec<_>>()
    };
    let at = |number: i64| Some(Timestamp::from_unix(START + number));
    for (filter, expected) in [
        (
            Filter {
                agent_name: Some("rare".into()),
                ..Filter::default()
            },
            of(|n| n % 7 == 0),
        ),
        (
            Filter {
                agent: Some(AgentId::mint(Timestamp::EPOCH, [0; 10])),
                ..Filter::default()
            },
            of(|n| n % 7 != 0),
        ),
        (
            Filter {
                outcome: Some(Outcome::Deny),
                ..Filter::default()
            },
            of(|n| n % 3 == 0),
        ),
        (
            Filter {
                target: Some("crm".parse().unwrap()),
                outcome: Some(Outcome::Allow),
                ..Filter::default()
            },
            of(|n| n % 3 != 0),
        ),
        (
            Filter {
                target: Some("hr".parse().unwrap()),
                ..Filter::default()
            },
            vec![],
        ),
        (
            Filter {
                kind: Some(Kind::Login),
                ..Filter::default()
            },
            vec![],
        ),
        (
            Filter {
                subject: Some("nobody".parse().unwrap()),
                ..Filter::default()
            },
            vec![],
        ),
        (
            Filter {
                since: at(1_990),
                ..Filter::default()
            },
            of(|n| n >= 1_990),
        ),
        (
            Filter {
                until: at(10),
                ..Filter::default()
            },
            of(|n| n <= 10),
        ),
        (
            Filter {
                since: at(500),
                until: at(700),
                ..Filter::default()
            },
            of(|n| (500..=700).contains(&n)),
        ),
    ] {
        assert_eq!(log.pages(&filter, 100).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn the_log_goes_on_after_a_restart() {
    let log = Log::new(DAY, 10);
    let first = log.decide(1);
    log.flush().await;
    let again = Log::over(Arc::clone(&log.storage), DAY, 10);
    again.decide(2);
    again.flush().await;
    assert_eq!(again.pages(&Filter::default(), 100).await, [2, 1]);
    assert_eq!(again.findings().await, Vec::<String>::new());
    let found = vault_plugin_agentic::record::decisions::search::find(&again.state.record, &first)
        .await
        .unwrap();
    assert_eq!(number(&found.unwrap()), 1);
}

/// A log of five segments, and what happens to it.
async fn tampered(with: impl Fn(&MemoryStorage, &[String])) -> Vec<String> {
    let log = Log::new(DAY, 10);
    for part in 0..5 {
        for number in 1..=20_i64 {
            log.decide(number.saturating_add(20_i64.saturating_mul(part)));
        }
        log.flush().await;
    }
    assert_eq!(log.findings().await, Vec::<String>::new());
    let segments = log.segments();
    assert_eq!(segments.len(), 5);
    with(&log.storage, &segments);
    log.findings().await
}

async fn remove(storage: &MemoryStorage, key: &str) {
    let delete = vault_plugin_agentic::host::framework::storage::Write::Delete {
        key: key.to_owned(),
    };
    storage.commit(vec![delete]).await.unwrap();
}

fn edit(storage: &MemoryStorage, key: &str, change: impl Fn(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&storage.value(key).unwrap()).unwrap();
    change(&mut value);
    storage.set(key, value.to_string().as_bytes());
}

#[tokio::test]
async fn a_changed_entry_is_found() {
    for place in 0..5 {
        let found = tampered(|storage, keys| {
            edit(storage, &keys[place], |segment| {
                segment["entries"][3]["outcome"] = json!("allow")
            });
            edit(storage, &keys[place], |segment| {
                segment["entries"][3]["agent"] = json!("somebody")
            });
        })
        .await;
        assert_eq!(found.len(), 1, "{place}: {found:?}");
    }
}

#[tokio::test]
async fn a_removed_or_moved_entry_is_found() {
    for place in 0..5 {
        let found = tampered(|storage, keys| {
            edit(storage, &keys[place], |segment| {
                segment["entries"].as_array_mut().unwrap().remove(7);
            });
        })
        .await;
        assert_eq!(found.len(), 1, "{place}: {found:?}");
        let found = tampered(|storage, keys| {
            edit(storage, &keys[place], |segment| {
                segment["entries"].as_array_mut().unwrap().swap(2, 3)
            });
        })
        .await;
        assert_eq!(found.len(), 1, "{place}: {found:?}");
    }
}

#[tokio::test]
async fn removed_and_exchanged_segments_are_found() {
    let exchanged = tampered(|storage, keys| {
        let (one, other) = (
            storage.value(&keys[1]).unwrap(),
            storage.value(&keys[2]).unwrap(),
        );
        storage.set(&keys[1], &other);
        storage.set(&keys[2], &one);
    })
    .await;
    assert!(
        exchanged
            .iter()
            .any(|f| f.contains("in the place of segment 2")),
        "{exchanged:?}"
    );
    for place in 0..5 {
        let log = Log::new(DAY, 10);
        for part in 0..5 {
            log.decide(part + 1);
            log.flush().await;
        }
        remove(&log.storage, &log.segments()[place]).await;
        let found = log.findings().await;
        assert_eq!(found, [format!("segment {} was removed", place + 1)]);
    }
}

#[tokio::test]
async fn a_log_that_was_cut_off_is_found() {
    let log = Log::new(DAY, 10);
    for part in 0..5 {
        log.decide(part + 1);
        log.flush().await;
    }
    let known = verify::verify(&log.state.record.journal, 0, None)
        .await
        .unwrap();
    let noted = (known.last, known.hash.clone());
    // The last segment and the head, put back as they were a segment before.
    remove(&log.storage, &log.segments()[4]).await;
    edit(&log.storage, "decision-head/head", |head| {
        head["last"] = json!(4)
    });
    assert!(log.findings().await[0].contains("was changed, or segments after it were cut off"));
    // Even a head that is made anew does not match what was noted elsewhere.
    let fourth = verify::verify(&log.state.record.journal, 0, Some(&noted))
        .await
        .unwrap();
    assert!(
        fourth
            .findings
            .iter()
            .any(|f| f.contains("whose hash was noted, was cut off"))
    );
    // Without a head, nothing says what there should be.
    remove(&log.storage, "decision-head/head").await;
    assert!(log.findings().await[0].contains("the head was removed"));
}

/// Who removes the head must not have the plugin bury the rest by writing on.
#[tokio::test]
async fn what_does_not_follow_is_kept_and_told() {
    let log = Log::new(DAY, 10);
    for part in 0..5 {
        log.decide(part + 1);
        log.flush().await;
    }
    let (before, second) = (log.segments(), log.storage.value(&log.segments()[1]));
    let known = verify::verify(&log.state.record.journal, 0, None)
        .await
        .unwrap();
    // As after the retention has passed for the first, and then the head goes.
    remove(&log.storage, &before[0]).await;
    remove(&log.storage, "decision-head/head").await;
    let after = Log::over(Arc::clone(&log.storage), DAY, 10);
    after.decide(6);
    after.flush().await;
    assert_eq!(after.segments().len(), 5, "one was added, none replaced");
    assert_eq!(after.storage.value(&before[1]), second);
    let found = after.findings().await;
    assert!(
        found.iter().any(|f| f.contains("does not follow")),
        "{found:?}"
    );

    // A head that was set back leaves a segment beyond it.
    let log = Log::new(DAY, 10);
    for part in 0..3 {
        log.decide(part + 1);
        log.flush().await;
    }
    edit(&log.storage, "decision-head/head", |head| {
        head["last"] = json!(1);
    });
    let found = log.findings().await;
    assert!(
        found.iter().any(|f| f.contains("after the last one")),
        "{found:?}"
    );

    // A hash that was noted is compared wherever the walk begins.
    let noted = (2, known.hash.clone());
    let late = verify::verify(&log.state.record.journal, 3, Some(&noted))
        .await
        .unwrap();
    assert!(
        late.findings.iter().any(|f| f.contains("that was noted")),
        "{late:?}"
    );
}

#[tokio::test]
async fn writes_that_fail_anywhere_lose_and_double_nothing() {
    for transactional in [true, false] {
        for position in 0..6 {
            for lost_reply in [true, false] {
                let log = Log::new(DAY, 5);
                log.storage.transactional(transactional);
                log.decide(1);
                log.flush().await;
                for number in 2..=1_200 {
                    log.decide(number);
                }
                if lost_reply {
                    log.storage.lose_replies(true);
                } else {
                    log.storage.fail_after(position);
                }
                let failed = log.state.record.journal.flush().await;
                log.storage.lose_replies(false);
                log.storage.fail_writes(false);
                assert_eq!(failed.is_err(), lost_reply || position < 6);
                log.flush().await;
                log.decide(1_201);
                log.flush().await;
                assert!(log.pages(&Filter::default(), 1_000).await == countdown(1_201));
                assert_eq!(log.findings().await, Vec::<String>::new());
            }
        }
    }
}

#[tokio::test]
async fn a_crash_between_segment_and_head_is_no_tampering() {
    let log = Log::new(DAY, 10);
    log.storage.transactional(false);
    log.decide(1);
    log.flush().await;
    log.decide(2);
    log.storage.fail_after(1);
    log.state.record.journal.flush().await.unwrap_err();
    log.storage.fail_writes(false);
    let again = Log::over(Arc::clone(&log.storage), DAY, 10);
    again.decide(3);
    again.flush().await;
    assert_eq!(again.pages(&Filter::default(), 10).await, [3, 2, 1]);
    assert_eq!(again.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_too_old_goes_and_the_rest_still_verifies() {
    let log = Log::new(100, 1);
    for part in 0..600 {
        log.decide(part * 10 + 1);
        log.flush().await;
    }
    let now = Timestamp::from_unix(START + 6_000);
    // A bounded part at each call, of more than one call writes.
    log.state.record.journal.expire(now).await.unwrap();
    assert_eq!(log.segments().len(), 600 - 512);
    assert_eq!(log.findings().await, Vec::<String>::new());
    for _ in 0..4 {
        log.state.record.journal.expire(now).await.unwrap();
    }
    assert_eq!(log.segments().len(), 10);
    assert_eq!(log.findings().await, Vec::<String>::new());
    // Retention that is switched off takes the rest, and the chain goes on.
    log::tune(&log.state.record, (&Config::default()).into());
    log.state.record.journal.expire(now).await.unwrap();
    assert_eq!(log.segments().len(), 0);
    let again = Log::over(Arc::clone(&log.storage), DAY, 10);
    again.decide(7_000);
    again.flush().await;
    assert_eq!(again.segments(), ["decision-log/000000000601"]);
    assert_eq!(again.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_removal_that_fails_anywhere_is_no_tampering() {
    for position in 0..12 {
        let log = Log::new(100, 1);
        log.storage.transactional(false);
        for part in 0..10 {
            log.decide(part * 10 + 1);
            log.flush().await;
        }
        let now = Timestamp::from_unix(START + 1_000);
        log.storage.fail_after(position);
        let _ = log.state.record.journal.expire(now).await;
        log.storage.fail_writes(false);
        assert_eq!(log.findings().await, Vec::<String>::new(), "{position}");
        let again = Log::over(Arc::clone(&log.storage), 100, 1);
        again.state.record.journal.expire(now).await.unwrap();
        assert_eq!(again.segments().len(), 0);
        assert_eq!(again.findings().await, Vec::<String>::new(), "{position}");
    }
}

#[tokio::test]
async fn memory_is_bounded_whatever_comes() {
    let log = Log::new(DAY, 2_000);
    log.storage.fail_writes(true);
    for number in 1..=100_000 {
        log.decide(number);
    }
    assert_eq!(log.state.record.recent.len(), 2_000);
    assert_eq!(log.state.record.journal.pending(), MOST_PENDING);
    // What found no room is counted, here and in the log itself.
    log.storage.fail_writes(false);
    log.flush().await;
    let found = verify::verify(&log.state.record.journal, 0, None)
        .await
        .unwrap();
    assert_eq!(found.entries + found.lost, 100_000);
    assert!(found.ok);
    for key in log.segments() {
        assert!(log.storage.value(&key).unwrap().len() < 1024 * 1024);
    }
}

#[tokio::test]
async fn a_hundred_thousand_decisions_are_found_in_pages() {
    let log = Log::new(DAY, 1_000);
    for number in 1..=100_000 {
        log.decide(number);
        if number % 10_000 == 0 {
            log.flush().await;
        }
    }
    let rare = Filter {
        agent_name: Some("rare".into()),
        ..Filter::default()
    };
    let found = log.pages(&rare, 1_000).await;
    assert_eq!(found.len(), 100_000 / 7);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len());
    assert_eq!(log.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_standby_stores_nothing() {
    let log = Log::new(DAY, 10);
    log.state.host.set_standby(true);
    log.decide(1);
    log.state.record.journal.flush().await.unwrap();
    assert_eq!(log.storage.writes(), 0);
    assert_eq!(log.pages(&Filter::default(), 10).await, [1]);
}

#[tokio::test]
async fn the_periodic_call_and_the_end_of_a_mount_store_what_waits() {
    let world = World::with_agent().await;
    world
        .ok("config", json!({ "decision_retention": "1h" }))
        .await;
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/1" });
    let writes = world.storage.writes();
    world.issue(ask.clone()).await.unwrap();
    assert_eq!(world.storage.writes(), writes, "a request stores nothing");
    world
        .call(Operation::Periodic, "", Value::Null, None)
        .await
        .unwrap();
    assert!(world.storage.writes() > writes);
    let writes = world.storage.writes();
    world
        .call(Operation::Periodic, "", Value::Null, None)
        .await
        .unwrap();
    assert_eq!(world.storage.writes(), writes, "nothing waits");
    world.issue(ask).await.unwrap();
    world.backend.cleanup().await;
    assert!(world.storage.writes() > writes);
    let verified = world.read("decisions/verify").await.unwrap();
    assert_eq!(
        (&verified["ok"], &verified["entries"]),
        (&json!(true), &json!(2))
    );
}

#[tokio::test]
async fn a_fault_of_other_upkeep_does_not_keep_decisions_from_being_stored() {
    let world = World::with_agent().await;
    world
        .ok("config", json!({ "decision_retention": "1h" }))
        .await;
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/1" });
    world.issue(ask).await.unwrap();
    // What can be read no more fails the rest of the call.
    world.storage.set("export/settings", b"garbage");
    world.backend.invalidate("export/settings").await;
    let failed = world.call(Operation::Periodic, "", Value::Null, None).await;
    assert!(failed.is_err(), "{failed:?}");
    let stored = world.read("decisions/verify").await.unwrap();
    assert_eq!(stored["entries"], 1);
}

#[tokio::test]
async fn small_segments_behind_a_large_memory_are_found() {
    for step in [0, 1] {
        let log = Log::new(DAY, 300);
        for number in 1..=1_000 {
            let cx = log.cx(START + number * step);
            let entry = Entry {
                agent_id: Some(AgentId::mint(Timestamp::EPOCH, [0; 10])),
                resource: format!("customers/{number}"),
                ..log::entry(&cx, Kind::Issue, Outcome::Allow)
            };
            log::record(&cx, entry);
            log.flush().await;
        }
        assert_eq!(log.segments().len(), 1_000);
        let found = log.pages(&Filter::default(), 1_000).await;
        assert!(found == countdown(1_000), "{}", found.len());
        let found = log.pages(&Filter::default(), 70).await;
        assert!(found == countdown(1_000), "{}", found.len());
    }
}

#[tokio::test]
async fn old_entries_of_strangers_hide_nothing_and_come_once() {
    for memory in [10, 1_000] {
        let log = Log::new(DAY, memory);
        for number in 1..=3_000 {
            if number % 100 == 0 {
                log.stranger(number);
            } else {
                log.decide(number);
            }
            if number % 700 == 0 {
                log.flush().await;
            }
        }
        for limit in [7, 1_000] {
            let found = log.pages(&Filter::default(), limit).await;
            assert!(
                found == countdown(3_000),
                "{memory} {limit} {}",
                found.len()
            );
        }
        // The strangers that memory holds are older than what is wanted.
        let since = Filter {
            since: Some(Timestamp::from_unix(START + 1_000)),
            ..Filter::default()
        };
        let found = log.pages(&since, 1_000).await;
        assert_eq!((found.len(), found.last()), (2_001, Some(&1_000)));
    }
}

#[tokio::test]
async fn what_could_not_be_stored_is_shown_from_memory() {
    let log = Log::new(0, 10);
    for number in 1..=20 {
        log.decide(number);
        log.stranger(100 + number);
    }
    log::tune(
        &log.state.record,
        (&Config {
            decision_retention: Ttl::from_secs(DAY),
            decision_memory: 10,
            ..Config::default()
        })
            .into(),
    );
    log.decide(200);
    log.flush().await;
    for limit in [3, 100] {
        let mut found = log.pages(&Filter::default(), limit).await;
        found.sort_unstable();
        let expected: Vec<i64> = (12..=20).chain(111..=120).chain([200]).collect();
        assert_eq!(found, expected, "{limit}");
    }
}

#[tokio::test]
async fn strangers_take_no_room_from_agents_in_the_log() {
    let log = Log::new(DAY, 10);
    log.storage.fail_writes(true);
    for number in 1..=20_000 {
        log.stranger(number);
    }
    assert_eq!(log.state.record.journal.pending(), MOST_STRANGERS);
    for number in 1..=i64::try_from(MOST_PENDING).unwrap() {
        log.decide(number);
    }
    let counts = log.state.record.journal.counts();
    assert_eq!(counts.lost.load(Ordering::Relaxed), 0);
    assert_eq!(
        counts.strangers_left_out.load(Ordering::Relaxed),
        20_000 - u64::try_from(MOST_STRANGERS).unwrap()
    );
    log.storage.fail_writes(false);
    log.flush().await;
    let found = verify::verify(&log.state.record.journal, 0, None)
        .await
        .unwrap();
    assert_eq!((found.entries, found.lost), (16_384 + 256, 0));
    // There is room again.
    log.stranger(30_000);
    assert_eq!(log.state.record.journal.pending(), 1);
}

#[tokio::test]
async fn a_full_log_is_written_by_one_at_a_time() {
    let log = Log::new(DAY, 10);
    // Nothing else runs meanwhile: this thread is the only one.
    for number in 1..=20_000 {
        log.decide(number);
    }
    let running = tokio::runtime::Handle::current().metrics();
    assert_eq!(running.num_alive_tasks(), 1);
}

#[tokio::test]
async fn every_write_that_fails_is_counted() {
    let log = Log::new(DAY, 10);
    log.decide(1);
    log.storage.fail_reads(true);
    for expected in 1..=3 {
        log.state.record.journal.flush().await.unwrap_err();
        let failed = &log.state.record.journal.counts().failed;
        assert_eq!(failed.load(Ordering::Relaxed), expected);
    }
}
