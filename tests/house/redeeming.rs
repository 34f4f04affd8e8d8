//! A use is used once: under races, faults and crashes, with transactions and
//! without.

use std::sync::Arc;

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;

use crate::world::World;

fn kinds(uses: u32) -> [Value; 2] {
    [
        json!({ "credential_type": "jwt", "max_uses": uses }),
        json!({ "credential_type": "opaque", "max_uses": uses }),
    ]
}

/// What a redemption came to: the answer's `active`, or nothing if nobody knows.
async fn attempt(world: &World, token: &str) -> Option<bool> {
    let ask = json!({ "token": token });
    match world
        .call(Operation::Update, "creds/redeem", ask, None)
        .await
    {
        Ok(answer) => answer.unwrap()["active"].as_bool(),
        Err(Error::Host(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn uses_count_down_to_nothing() {
    for kind in kinds(3) {
        let world = World::with_target(kind).await;
        let token = world.credential().await;
        for left in [2, 1, 0] {
            let before = world.storage.writes();
            let answer = world.redeem(&token).await;
            assert_eq!(answer["active"], true);
            assert_eq!(answer["uses_left"], left);
            assert_eq!(world.storage.writes() - before, 1);
        }
        assert_eq!(world.redeem(&token).await, json!({ "active": false }));
        assert!(!world.is_active(&token).await);
    }
}

#[tokio::test]
async fn what_nobody_counts_is_not_written() {
    for kind in ["jwt", "opaque"] {
        let world = World::with_target(json!({ "credential_type": kind })).await;
        let token = world.credential().await;
        let writes = world.storage.writes();
        for _ in 0..5 {
            assert_eq!(world.redeem(&token).await["active"], true);
        }
        assert_eq!(world.storage.writes(), writes);
    }
}

#[tokio::test]
async fn of_many_at_once_as_many_succeed_as_there_were_uses() {
    for transactional in [true, false] {
        for uses in [1, 7] {
            for kind in kinds(uses) {
                let world = Arc::new(World::with_target(kind).await);
                world.storage.transactional(transactional);
                let token: Arc<str> = world.credential().await.into();
                let all: Vec<_> = (0..200)
                    .map(|_| {
                        let (world, token) = (Arc::clone(&world), Arc::clone(&token));
                        tokio::spawn(async move { attempt(&world, &token).await.unwrap() })
                    })
                    .collect();
                let mut granted = 0;
                for one in all {
                    granted += u32::from(one.await.unwrap());
                }
                assert_eq!(granted, uses);
            }
        }
    }
}

#[tokio::test]
async fn two_nodes_that_both_believe_themselves_active_share_the_uses() {
    for kind in kinds(5) {
        let one = Arc::new(World::with_target(kind).await);
        let other = World::over(Arc::clone(&one.storage));
        other.backend.initialize().await.unwrap();
        let other = Arc::new(other);
        let token: Arc<str> = one.credential().await.into();
        let all: Vec<_> = (0..100)
            .map(|number| {
                let world = Arc::clone(if number % 2 == 0 { &one } else { &other });
                let token = Arc::clone(&token);
                tokio::spawn(async move {
                    let ask = json!({ "token": &*token });
                    match world
                        .call(Operation::Update, "creds/redeem", ask, None)
                        .await
                    {
                        Ok(answer) => answer.unwrap()["active"] == true,
                        Err(Error::Conflict(_)) => false,
                        Err(error) => panic!("{error}"),
                    }
                })
            })
            .collect();
        let mut granted = 0;
        for one in all {
            granted += u32::from(one.await.unwrap());
        }
        assert!(granted <= 5, "{granted}");
        // Whoever was told to retry may.
        while attempt(&one, &token).await == Some(true) {
            granted += 1;
        }
        assert_eq!(granted, 5);
    }
}

/// The write fails before it is made, or after; the process goes on, or another
/// takes over. Never is a use granted twice.
#[tokio::test]
async fn a_fault_may_cost_a_use_and_never_makes_one() {
    for transactional in [true, false] {
        for is_made in [true, false] {
            for crashes in [true, false] {
                for uses in [1_u32, 2] {
                    for kind in kinds(uses) {
                        let world = World::with_target(kind).await;
                        world.storage.transactional(transactional);
                        let token = world.credential().await;
                        if is_made {
                            world.storage.lose_replies(true);
                        } else {
                            world.storage.fail_writes(true);
                        }
                        assert_eq!(attempt(&world, &token).await, None);
                        world.storage.lose_replies(false);
                        world.storage.fail_writes(false);
                        let world = if crashes {
                            let after = World::over(Arc::clone(&world.storage));
                            after.backend.initialize().await.unwrap();
                            after
                        } else {
                            world
                        };
                        let mut granted = 0;
                        while attempt(&world, &token).await.unwrap() {
                            granted += 1;
                        }
                        let lost = u32::from(is_made || !crashes);
                        assert_eq!(granted, uses - lost);
                    }
                }
            }
        }
    }
}

/// A write of which nobody knew whether it was made comes late, over another.
#[tokio::test]
async fn a_write_that_comes_late_brings_no_use_back() {
    for kind in kinds(2) {
        let world = World::with_target(kind).await;
        world.storage.transactional(false);
        let token = world.credential().await;
        let key = world
            .storage
            .keys()
            .into_iter()
            .find(|key| key.starts_with("credential/"))
            .unwrap();
        world.storage.lose_replies(true);
        assert_eq!(attempt(&world, &token).await, None);
        world.storage.lose_replies(false);
        let late = world.storage.value(&key).unwrap();
        assert_eq!(attempt(&world, &token).await, Some(true));
        assert_eq!(attempt(&world, &token).await, Some(false));
        world.storage.set(&key, &late);
        assert_eq!(attempt(&world, &token).await, Some(false));
        assert!(!world.is_active(&token).await);
    }
}

#[tokio::test]
async fn an_issue_that_fails_leaves_no_credential() {
    for transactional in [true, false] {
        for kind in [
            json!({ "credential_type": "opaque", "max_uses": 1 }),
            json!({ "max_uses": 1, "status_list": true }),
        ] {
            for position in 0..4 {
                let world = World::with_target(kind.clone()).await;
                world.storage.transactional(transactional);
                world.storage.fail_after(position);
                let ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
                let issued = world.issue(ask).await;
                world.storage.fail_writes(false);
                match issued {
                    Ok(issued) => {
                        let token = issued.unwrap()["credential"].as_str().unwrap().to_owned();
                        assert_eq!(attempt(&world, &token).await, Some(true));
                    }
                    Err(error) => assert!(matches!(error, Error::Host(_)), "{error:?}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_suspension_during_the_use_wins() {
    for kind in kinds(1) {
        let world = Arc::new(World::with_target(kind).await);
        let token = world.credential().await;
        // The use yields while it is stored; the suspension comes in between.
        let (world_, token_) = (Arc::clone(&world), token.clone());
        let using = tokio::spawn(async move { attempt(&world_, &token_).await });
        tokio::task::yield_now().await;
        world.ok("agents/bot/suspend", json!({})).await;
        assert_eq!(using.await.unwrap(), Some(false));
    }
}
