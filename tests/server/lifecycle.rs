//! What happens to a process, a mount or a server, and what stays.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::example::Example;
use crate::support::Bao;

#[test]
fn two_mounts_in_one_process_share_nothing() {
    let bao = Bao::own();
    let (one, two) = (Example::secrets(&bao), Example::secrets(&bao));
    assert_eq!(bao.plugins().len(), 1, "one process serves both");
    one.mount
        .write("agents/bot/suspend", &json!({ "reason": "test" }))
        .ok();
    assert!(
        one.issue()
            .refused(403)
            .errors()
            .contains("agent.suspended")
    );
    two.issue().ok();
    let agent = one.mount.read("agents/bot").ok().text_at("/data/id");
    assert_eq!(two.mount.read(&format!("agents/id/{agent}")).status, 404);
    two.agent
        .client
        .write(&one.mount.at("creds/issue"), &one.ask())
        .refused(403);
}

#[test]
fn a_killed_process_is_replaced_and_loses_nothing() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let done = AtomicBool::new(false);
    let (served, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    // A request in flight may fail with the process.
                    match example.agent.client.attempt(
                        "POST",
                        &example.mount.at("creds/issue"),
                        Some(&example.ask()),
                    ) {
                        Ok(answer) if answer.status == 200 => served.fetch_add(1, Ordering::SeqCst),
                        Ok(answer) if answer.status >= 500 => failed.fetch_add(1, Ordering::SeqCst),
                        other => panic!("{other:?}"),
                    };
                }
            });
        }
        for round in 0..5 {
            let before = served.load(Ordering::SeqCst);
            bao.wait("requests are served", |_| {
                served.load(Ordering::SeqCst) > before + 20
            });
            example
                .mount
                .write(
                    "agents/bot",
                    &json!({ "description": format!("round {round}") }),
                )
                .ok();
            assert!(bao.kill9_plugins() > 0);
            bao.wait("the next process serves", |bao| {
                bao.client().read(&example.mount.at("agents/bot")).status == 200
            });
            let agent = example.mount.read("agents/bot").ok();
            assert_eq!(
                *agent.data("description"),
                format!("round {round}"),
                "what was acknowledged is there"
            );
        }
        done.store(true, Ordering::SeqCst);
    });
    example.issue().ok();
    bao.wait("one process", |bao| bao.plugins().len() == 1);
}

#[test]
fn reload_unmount_and_mount_again() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    bao.client()
        .write(
            "sys/plugins/reload/backend",
            &json!({ "mounts": [format!("{}/", example.mount.path)] }),
        )
        .ok();
    example.issue().ok();
    let path = example.mount.path.clone();
    assert_eq!(example.mount.disable().status, 204);
    bao.client()
        .write(&format!("sys/mounts/{path}"), &json!({ "type": "agentic" }))
        .ok();
    assert_eq!(
        bao.client().read(&format!("{path}/agents/bot")).status,
        404,
        "a new mount knows nothing"
    );
    assert_eq!(
        bao.client().read(&format!("{path}/keys/default")).status,
        200,
        "and can sign"
    );
    assert_eq!(
        bao.client().delete(&format!("sys/mounts/{path}")).status,
        204
    );
    bao.wait("no process is left", |bao| bao.plugins().is_empty());
    assert!(bao.leftovers().is_empty(), "{:?}", bao.leftovers());
}

#[test]
fn storage_outlives_seal_restart_and_crash() {
    let mut bao = Bao::persistent();
    let (path, token, kid) = {
        let example = Example::secrets(&bao);
        example
            .mount
            .write("agents/bot", &json!({ "description": "kept" }))
            .ok();
        let kid = example
            .mount
            .read("keys/default")
            .ok()
            .text_at("/data/versions/0/kid");
        (example.mount.path, example.agent.token, kid)
    };
    let check = |bao: &Bao| {
        bao.wait("the mount answers", |bao| {
            bao.client().read(&format!("{path}/agents/bot")).status == 200
        });
        let agent = bao.client().read(&format!("{path}/agents/bot")).ok();
        assert_eq!(*agent.data("description"), "kept");
        let key = bao.client().read(&format!("{path}/keys/default")).ok();
        assert_eq!(key.text_at("/data/versions/0/kid"), kid);
        let ask = json!({ "target": "crm", "action": "read", "resource": "customers/1" });
        bao.client_with(&token)
            .write(&format!("{path}/creds/issue"), &ask)
            .ok();
    };
    check(&bao);
    bao.seal();
    bao.unseal();
    check(&bao);
    bao.restart();
    check(&bao);
    bao.crash();
    bao.start();
    bao.unseal();
    check(&bao);
    assert!(bao.orphans().is_empty(), "{:?}", bao.orphans());
}

#[test]
fn callers_that_hang_up_do_not_break_the_connection() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let address = bao.url().trim_start_matches("http://").to_owned();
    for _ in 0..400 {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        let request = format!(
            "GET /v1/{}/.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n",
            example.mount.path
        );
        stream.write_all(request.as_bytes()).unwrap();
        drop(stream);
    }
    example.issue().ok();
    assert_eq!(bao.plugins().len(), 1);
}

#[test]
fn issuing_writes_nothing_to_storage() {
    let bao = Bao::persistent();
    let example = Example::secrets(&bao);
    example.issue().ok();
    // Every write to this storage is an entry of the raft log.
    let index = || {
        bao.client().read("sys/leader").json["raft_applied_index"]
            .as_u64()
            .unwrap()
    };
    let before = index();
    for _ in 0..300 {
        example.issue().ok();
    }
    let written = index() - before;
    assert!(written < 10, "{written} writes for 300 credentials");
    // The measure moves when something is written.
    example
        .mount
        .write("agents/bot", &json!({ "description": "x" }))
        .ok();
    assert!(index() > before + written);
}
