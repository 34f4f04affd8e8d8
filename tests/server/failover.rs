//! Uses and leases in a cluster: a standby passes them on, and the next node
//! knows what the one before has granted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::example::Example;
use crate::redeeming::{Event, Told, judge, record};
use crate::support::{Bao, Client};

fn redeem(client: &Client, path: &str, token: &str) -> Told {
    match client.attempt("POST", path, Some(&json!({ "token": token }))) {
        Ok(answer) if answer.status == 200 && answer.data("active") == &json!(true) => Told::Yes,
        Ok(answer) if answer.status == 200 && answer.data("active") == &json!(false) => Told::No,
        Ok(_) | Err(_) => Told::Nothing,
    }
}

#[test]
fn a_use_is_used_once_in_a_cluster_that_loses_its_head() {
    let [mut first, second, third] = Bao::cluster();
    let example = Example::secrets(&first);
    let target =
        json!({ "credential_type": "opaque", "max_uses": 1, "max_ttl": "1h", "default_ttl": "1h" });
    example.mount.write("targets/crm", &target).ok();
    let path = example.mount.at("creds/redeem");
    let issue = || example.issue().ok().text_at("/data/credential");
    let (one, tokens) = (issue(), [(); 6].map(|()| issue()));

    // At a standby it is passed on, and so is the issue of a lease.
    let standby = second.client();
    second.wait("served by a standby", |_| {
        redeem(&standby, &path, "agt_unknown") == Told::No
    });
    assert_eq!(redeem(&standby, &path, &one), Told::Yes);
    assert_eq!(redeem(&standby, &path, &one), Told::No);
    assert_eq!(redeem(&first.client(), &path, &one), Told::No);
    let lease = json!({ "leased": true });
    example.mount.write("targets/crm", &lease).ok();
    let agent = second.client_with(&example.agent.token);
    let issued = agent.write(&example.mount.at("creds/issue"), &example.ask());
    assert!(issued.ok().text_at("/lease_id").len() > 10);

    // So is a question for a status list, which only the active node can answer.
    let listed =
        json!({ "credential_type": "jwt", "max_uses": 0, "leased": false, "status_list": true });
    example.mount.write("targets/crm", &listed).ok();
    example.issue().ok();
    let list = example.mount.at(".well-known/status/0");
    let (here, there) = (first.client_with(""), second.client_with(""));
    let seen = [here, there].map(|client| client.read(&list).ok());
    for answer in &seen {
        let kind = answer.headers.get("content-type").unwrap();
        assert_eq!(kind, "application/statuslist+jwt");
        assert_eq!(answer.text.split('.').count(), 3);
    }
    drop(example);

    // Everybody redeems everything everywhere, and the head goes.
    let histories = tokens.each_ref().map(|_| Mutex::new(Vec::<Event>::new()));
    let stop = AtomicBool::new(false);
    let clients = [first.client(), second.client(), third.client()];
    thread::scope(|scope| {
        for (turn, client) in clients.iter().enumerate() {
            let (tokens, histories, stop, path) = (&tokens, &histories, &stop, &path);
            scope.spawn(move || {
                for at in (turn..).map(|at| at % tokens.len()) {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let event = record(|| redeem(client, path, &tokens[at]));
                    if event.told == Told::Nothing {
                        thread::sleep(Duration::from_millis(20));
                    }
                    histories[at].lock().unwrap().push(event);
                }
            });
        }
        second.wait("in the middle of it", |_| {
            let known = |history: &Mutex<Vec<Event>>| !history.lock().unwrap().is_empty();
            histories.iter().any(known)
        });
        first.crash();
        second.wait("served by an heir", |_| {
            [&second, &third].iter().any(|node| {
                node.health() == 200 && redeem(&node.client(), &path, "agt_unknown") == Told::No
            })
        });
        stop.store(true, Ordering::SeqCst);
    });
    let heir = [&second, &third]
        .into_iter()
        .find(|node| node.health() == 200)
        .unwrap()
        .client();
    for (token, history) in tokens.iter().zip(histories) {
        let mut history = history.into_inner().unwrap();
        for _ in 0..2 {
            history.push(record(|| redeem(&heir, &path, token)));
        }
        assert_eq!(judge(&history, 1), Ok(()), "{history:?}");
        assert_eq!(history.last().map(|event| event.told), Some(Told::No));
    }
}
