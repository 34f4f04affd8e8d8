//! A use is used once, on a real server whose plugin dies at any moment; and
//! the kill switch under load. What happened is written down by the clients,
//! with when each request began and ended, and judged afterwards.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::example::Example;
use crate::support::Bao;

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Yes,
    No,
    /// An error, or nothing: it may have happened or not.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    begun: Instant,
    ended: Instant,
    pub(crate) told: Told,
}

pub(crate) fn record(ask: impl FnOnce() -> Told) -> Event {
    let begun = Instant::now();
    let told = ask();
    Event {
        begun,
        ended: Instant::now(),
        told,
    }
}

/// Whether a history can be that of a credential with so many uses. What has
/// ended before another has begun came before it; of the rest, any order may be.
pub(crate) fn judge(history: &[Event], uses: usize) -> Result<(), String> {
    let granted = history
        .iter()
        .filter(|event| event.told == Told::Yes)
        .count();
    if granted > uses {
        return Err(format!("{granted} of {uses} uses were granted"));
    }
    for refused in history.iter().filter(|event| event.told == Told::No) {
        // All that can have used something up before this was refused.
        let before = history
            .iter()
            .filter(|event| event.told != Told::No && event.begun < refused.ended)
            .count();
        if before < uses {
            return Err(format!("refused with {before} of {uses} uses gone"));
        }
        // Once it is used up, it stays so.
        if let Some(late) = history
            .iter()
            .find(|event| event.told == Told::Yes && event.begun > refused.ended)
        {
            return Err(format!("granted after a refusal: {late:?}"));
        }
    }
    Ok(())
}

#[test]
fn the_judge_knows_a_good_history_from_a_bad_one() {
    let start = Instant::now();
    let event = |begun: u64, ended: u64, told| Event {
        begun: start + Duration::from_millis(begun),
        ended: start + Duration::from_millis(ended),
        told,
    };
    use Told::{No, Nothing, Yes};
    let good: [&[Event]; 4] = [
        &[event(0, 5, Yes), event(1, 6, No), event(7, 8, No)],
        &[event(0, 5, Nothing), event(6, 8, No)],
        &[event(0, 5, Nothing), event(6, 8, Yes), event(6, 9, No)],
        &[event(0, 5, No), event(4, 9, Yes)],
    ];
    for history in good {
        assert_eq!(judge(history, 1), Ok(()), "{history:?}");
    }
    let bad: [&[Event]; 4] = [
        &[event(0, 5, Yes), event(1, 6, Yes)],
        &[event(0, 5, No)],
        &[event(0, 5, No), event(6, 9, Nothing)],
        &[event(0, 5, Nothing), event(6, 7, No), event(8, 9, Yes)],
    ];
    for history in bad {
        assert!(judge(history, 1).is_err(), "{history:?}");
    }
}

const CLIENTS: usize = 25;
const EACH: usize = 40;
const ROUNDS: usize = 4;

/// A thousand redemptions of one credential at once, while the plugin is killed
/// again and again.
fn storm(bao: &Bao, example: &Example<'_>, token: &str, seed: u64) -> Vec<Event> {
    let path = example.mount.at("creds/redeem");
    let body = json!({ "token": token });
    let history = Mutex::new(Vec::new());
    let running = AtomicUsize::new(CLIENTS);
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let client = bao.client();
                for _ in 0..EACH {
                    let event = record(|| match client.attempt("POST", &path, Some(&body)) {
                        Ok(answer) if answer.status == 200 => {
                            answered.fetch_add(1, Ordering::SeqCst);
                            if answer.data("active") == &json!(true) {
                                Told::Yes
                            } else {
                                assert_eq!(answer.data("active"), &json!(false), "{answer:?}");
                                Told::No
                            }
                        }
                        Ok(_) | Err(_) => Told::Nothing,
                    });
                    history.lock().unwrap().push(event);
                }
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let mut random = seed;
        while running.load(Ordering::SeqCst) > 0 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // Not before it serves: a process that dies while the server
            // connects to it is one that this server never gives up.
            let enough = answered.load(Ordering::SeqCst).saturating_add(random >> 58);
            while answered.load(Ordering::SeqCst) <= enough && running.load(Ordering::SeqCst) > 0 {
                thread::sleep(Duration::from_micros(random >> 54));
            }
            if running.load(Ordering::SeqCst) > 0 {
                bao.kill9_plugins();
            }
        }
    });
    history.into_inner().unwrap()
}

#[test]
fn of_a_thousand_at_once_one_is_granted_however_often_the_plugin_dies() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let target = json!({ "max_ttl": "1h", "default_ttl": "1h" });
    example.mount.write("targets/crm", &target).ok();
    let (mut granted, mut unknown) = (0, 0);
    for (kind, uses) in [("opaque", 1), ("jwt", 1), ("opaque", 5)] {
        for round in 0..ROUNDS {
            let target = json!({ "credential_type": kind, "max_uses": uses });
            example.mount.write("targets/crm", &target).ok();
            let token = example.issue().ok().text_at("/data/credential");
            let seed = u64::try_from(round).unwrap() + 1;
            let mut history = storm(&bao, &example, &token, seed);
            assert_eq!(history.len(), CLIENTS * EACH);
            bao.wait("served again", |_| example.mount.read("info").status == 200);
            // Then, in quiet, whatever is left.
            for _ in 0..=uses {
                let body = json!({ "token": token });
                history.push(record(|| {
                    let answer = example.mount.write("creds/redeem", &body).ok();
                    if answer.data("active") == &json!(true) {
                        Told::Yes
                    } else {
                        Told::No
                    }
                }));
            }
            assert_eq!(judge(&history, uses), Ok(()), "{kind} {uses} {round}");
            let count = |told| history.iter().filter(|event| event.told == told).count();
            granted += count(Told::Yes);
            unknown += count(Told::Nothing);
            assert!(count(Told::No) > 0);
        }
    }
    assert!(granted > 0, "nothing was granted: the storm proves nothing");
    assert!(unknown > 0, "nothing was killed: the storm proves nothing");
}

#[test]
fn without_any_fault_exactly_as_many_are_granted_as_there_were_uses() {
    let bao = Bao::dev();
    let example = Example::secrets(bao);
    for (kind, uses) in [("opaque", 1), ("jwt", 7)] {
        let target = json!({ "credential_type": kind, "max_uses": uses });
        example.mount.write("targets/crm", &target).ok();
        let token = example.issue().ok().text_at("/data/credential");
        let (path, body) = (example.mount.at("creds/redeem"), json!({ "token": token }));
        let granted = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let client = bao.client();
                    for _ in 0..EACH {
                        let answer = client.write(&path, &body).ok();
                        if answer.data("active") == &json!(true) {
                            granted.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(granted.into_inner(), uses);
    }
}

/// One who asks the same again and again, until told to stop.
fn keep_asking(stop: &AtomicBool, mut ask: impl FnMut() -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        events.push(record(|| if ask() { Told::Yes } else { Told::No }));
    }
    events
}

#[test]
fn after_the_kill_switch_has_answered_nothing_more_succeeds() {
    let bao = Bao::dev();
    let example = Example::secrets(bao);
    let target = |fields: Value| example.mount.write("targets/crm", &fields).ok();
    target(
        json!({ "max_ttl": "1h", "default_ttl": "1h", "credential_type": "opaque", "max_uses": 1_000_000 }),
    );
    let counted = example.issue().ok().text_at("/data/credential");
    target(json!({ "credential_type": "jwt", "max_uses": 0 }));
    let plain = example.issue().ok().text_at("/data/credential");
    let stop = AtomicBool::new(false);
    let is_active = |path: &str, token: &str| {
        let answer = example.mount.write(path, &json!({ "token": token })).ok();
        answer.data("active") == &json!(true)
    };
    let mut switched = Vec::new();
    let histories: Vec<Vec<Event>> = thread::scope(|scope| {
        let askers = [
            scope.spawn(|| keep_asking(&stop, || example.issue().status == 200)),
            scope.spawn(|| keep_asking(&stop, || example.issue().status == 200)),
            scope.spawn(|| keep_asking(&stop, || is_active("creds/introspect", &plain))),
            scope.spawn(|| keep_asking(&stop, || is_active("creds/introspect", &counted))),
            scope.spawn(|| keep_asking(&stop, || is_active("creds/redeem", &counted))),
        ];
        for _ in 0..6 {
            thread::sleep(Duration::from_millis(200));
            example.mount.write("agents/bot/suspend", &json!({})).ok();
            let off = Instant::now();
            thread::sleep(Duration::from_millis(200));
            let on = Instant::now();
            example.mount.write("agents/bot/resume", &json!({})).ok();
            switched.push((off, on));
        }
        thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::SeqCst);
        askers
            .into_iter()
            .map(|asker| asker.join().unwrap())
            .collect()
    });
    for (asker, history) in histories.iter().enumerate() {
        let mut silenced = 0;
        for (off, on) in &switched {
            for event in history {
                if event.begun > *off && event.ended < *on {
                    assert_eq!(event.told, Told::No, "asker {asker}");
                    silenced += 1;
                }
            }
        }
        assert!(silenced > 0, "asker {asker} never asked in the dark");
        assert!(history.iter().any(|event| event.told == Told::Yes));
    }
    example.mount.write("agents/bot/revoke", &json!({})).ok();
    example.mount.write("agents/bot/resume", &json!({})).ok();
    for token in [&plain, &counted] {
        assert!(!is_active("creds/introspect", token), "revoked for good");
        assert!(!is_active("creds/redeem", token), "revoked for good");
    }
}
