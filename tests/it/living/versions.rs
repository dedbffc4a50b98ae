//! Taking an earlier version back.

use std::fs;

use scrim_ledger::LoadCause;
use scrim_server::admin::{AdminRequest, LoadReply, Status};
use scrim_server::{Server, StartError};

use super::{CONTRACT, Operator, PATIENTS, another, count, history, until, version};
use crate::client::Client;
use crate::kit::{Hosted, TestClock};

const RULE: &str = "rows: NOT legal_hold";
const NARROWER: &str = "rows: NOT legal_hold AND ward = 'Lighthouse'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_holds_over_a_restart_until_the_folder_changes() {
    let host = Hosted::demo().await;
    let mut policies = host.running().policies();
    let first = version(&host);
    let mut rolf = Client::persona(host.address(), "rolf").await;
    let all = count(&mut rolf, PATIENTS).await.unwrap();
    host.world.edit(CONTRACT, RULE, NARROWER);
    let second = another(&mut policies, &first).await;
    let some = count(&mut rolf, PATIENTS).await.unwrap();
    assert!(some < all);
    let mut operator = Operator::of(&host).await;
    let LoadReply::Loaded(loaded) = operator.roll_back(&first[..10]).await else {
        panic!("refused");
    };
    assert_eq!(
        (&loaded.version, &loaded.folder),
        (&first, &Some(second.clone()))
    );
    assert_eq!(count(&mut rolf, PATIENTS).await.unwrap(), all);
    let text = fs::read_to_string(host.world.path(CONTRACT)).unwrap();
    assert!(text.contains(NARROWER), "the folder is not overwritten");
    // A start with the folder as it is.
    let host = Hosted::start(host.stop().await).await;
    let mut policies = host.running().policies();
    assert_eq!(version(&host), first);
    let mut operator = Operator::of(&host).await;
    let status: Status = operator.ask(&AdminRequest::Status).await.unwrap();
    assert_eq!(status.policies.folder, Some(second.clone()));
    assert_eq!(status.policies.by.as_deref(), Some("key file (tester)"));
    let mut rolf = Client::persona(host.address(), "rolf").await;
    assert_eq!(count(&mut rolf, PATIENTS).await.unwrap(), all);
    // The next change counts, and from then on the folder.
    host.world.edit(CONTRACT, "Lighthouse", "Sunroom");
    let third = another(&mut policies, &first).await;
    assert_ne!(third, second);
    until(&mut policies, |now| now.folder.is_none()).await;
    let host = Hosted::start(host.stop().await).await;
    assert_eq!(version(&host), third);
    let loads = history(&host.stop().await);
    let told: Vec<_> = loads
        .into_iter()
        .map(|load| (load.version.unwrap(), load.cause.unwrap(), load.folder))
        .collect();
    let (start, folder) = (LoadCause::Start, LoadCause::Folder);
    assert_eq!(
        told,
        [
            (first.clone(), start, None),
            (second.clone(), folder, None),
            (first.clone(), LoadCause::Rollback, Some(second.clone())),
            (first, start, Some(second)),
            (third.clone(), folder, None),
            (third, start, None),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_while_the_server_is_down_ends_a_rollback_and_so_does_a_reload() {
    let host = Hosted::demo().await;
    let mut policies = host.running().policies();
    let first = version(&host);
    host.world.edit(CONTRACT, RULE, NARROWER);
    let second = another(&mut policies, &first).await;
    Operator::of(&host).await.roll_back(&first).await;
    assert_eq!(version(&host), first);
    host.reload().await;
    assert_eq!(version(&host), second);
    Operator::of(&host).await.roll_back(&first).await;
    let world = host.stop().await;
    world.edit(CONTRACT, "Lighthouse", "Sunroom");
    let host = Hosted::start(world).await;
    let now = host.running().policies().borrow().clone();
    assert!(now.folder.is_none() && ![first, second].contains(&now.policy.version().to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_not_there_or_was_changed_is_refused() {
    let host = Hosted::demo().await;
    let mut policies = host.running().policies();
    let first = version(&host);
    host.world.edit(CONTRACT, RULE, NARROWER);
    let second = another(&mut policies, &first).await;
    let mut operator = Operator::of(&host).await;
    for wrong in ["", "zz", "../..", "no"] {
        let LoadReply::Refused(refused) = operator.roll_back(wrong).await else {
            panic!("{wrong}");
        };
        assert!(!refused.problems.is_empty());
    }
    let texts = host.world.path("ledger/policies/files");
    for entry in fs::read_dir(&texts).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(RULE, "rows: true")).unwrap();
    }
    let LoadReply::Refused(refused) = operator.roll_back(&first).await else {
        panic!("a version that was changed is in force");
    };
    assert!(refused.problems[0].contains("SHA-256"), "{refused:?}");
    assert_eq!(version(&host), second);
    let status: Status = operator.ask(&AdminRequest::Status).await.unwrap();
    assert_eq!(
        status.policies.refused, None,
        "nothing is wrong with the folder"
    );
    host.stop().await;
}

/// Nothing is in force that could not be taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_for_them_policies_are_not_put_in_force() {
    let host = Hosted::demo().await;
    let mut policies = host.running().policies();
    let first = version(&host);
    let versions = host.world.path("ledger/policies/versions");
    fs::remove_dir_all(&versions).unwrap();
    fs::write(&versions, "in the way").unwrap();
    host.world.edit(CONTRACT, RULE, NARROWER);
    let now = until(&mut policies, |now| now.refused.is_some()).await;
    assert_eq!(now.policy.version(), first);
    // Once there is room, they come into force without anybody asking.
    fs::remove_file(&versions).unwrap();
    host.world.write("policies/contracts/.touched", "");
    let second = another(&mut policies, &first).await;
    until(&mut policies, |now| now.refused.is_none()).await;
    fs::remove_dir_all(&versions).unwrap();
    fs::write(&versions, "in the way").unwrap();
    host.world.edit(CONTRACT, "Lighthouse", "Sunroom");
    let now = until(&mut policies, |now| now.refused.is_some()).await;
    assert_eq!(now.policy.version(), second);
    let world = host.stop().await;
    let error = Server::start(world.config(), TestClock::noon()).await.err();
    assert!(matches!(error, Some(StartError::Store(_))), "{error:?}");
}
