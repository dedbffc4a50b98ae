//! Policies under which queries are decided and which nobody feels.

use std::sync::Arc;

use scrim_ledger::{FILE_NAME, ShadowSummary};

use crate::cli::scrim;
use crate::client::Client;
use crate::kit::{Hosted, Scratch, copy};

const PATIENTS: &str = "SELECT * FROM care.patients";

/// The demo world with a shadow that is the same until it is edited.
fn world() -> Scratch {
    let world = Scratch::demo();
    copy(&world.path("policies"), &world.path("policies-next"), &[]);
    let config = std::fs::read_to_string(world.path("scrim.yaml")).unwrap();
    world.write("scrim.yaml", &format!("{config}shadow: policies-next\n"));
    world
}

async fn loaded(host: &Hosted) -> Arc<scrim_policy::PolicySet> {
    let mut shadow = host.engine().shadow();
    let shadow = shadow.wait_for(Option::is_some).await.unwrap();
    shadow.clone().unwrap()
}

/// What the ledger says, once all queries so far are decided again.
async fn summary(host: &Hosted) -> ShadowSummary {
    let mut waiting = host.engine().shadow_waiting();
    waiting.wait_for(|count| *count == 0).await.unwrap();
    scrim_ledger::shadow(&host.world.path("ledger").join(FILE_NAME), None).unwrap()
}

#[tokio::test]
async fn a_shadow_is_recorded_where_it_differs_and_has_no_effect() {
    let world = world();
    let contract = "policies-next/contracts/patients.odcs.yaml";
    world.edit(contract, "            zip: clear\n            region: clear\n            ward: clear\n            insurer: clear",
        "            zip: {mask: zip3}\n            region: clear\n            insurer: clear");
    world.edit(
        contract,
        "rows: insurer = agreement.organisation",
        "rows: insurer = agreement.organisation AND region = 'NORTH'",
    );
    world.edit(
        "policies-next/agreements/harbor-visits.yaml",
        "status: active",
        "status: ended",
    );
    let host = Hosted::start(world).await;
    let version = loaded(&host).await.version().to_owned();
    let plain = Hosted::demo().await;
    for id in ["ivan", "nora"] {
        let mut client = Client::persona(host.address(), id).await;
        let mut other = Client::persona(plain.address(), id).await;
        for sql in [PATIENTS, "SELECT count(*) FROM care.visits", "SELECT 1"] {
            let (here, there) = (client.query(sql).await, other.query(sql).await);
            let (here, there) = (here.unwrap().batch(), there.unwrap().batch());
            assert_eq!(here.columns(), there.columns(), "{id}: {sql}");
        }
        client
            .query("SELECT * FROM care.nothing")
            .await
            .unwrap_err();
    }
    let summary = summary(&host).await;
    assert_eq!(summary.version.as_deref(), Some(version.as_str()));
    assert_eq!((summary.queries, summary.missed), (6, 0));
    let all: Vec<_> = summary.differences.iter().collect();
    let [("harbor", patients, one), ("harbor", visits, two)] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!(
        (*patients, *visits),
        ("scrim.care.patients", "scrim.care.visits")
    );
    assert_eq!((one.queries, one.differ, one.refused), (1, 1, 0));
    assert_eq!((one.lose, one.gain, one.treated), (1, 0, 1));
    assert_eq!(one.columns_lost, ["ward".to_owned()].into());
    assert_eq!(one.columns_treated, ["zip".to_owned()].into());
    assert_eq!(one.rows, [("narrower".to_owned(), 1)].into());
    assert_eq!((two.differ, two.refused), (1, 1));
    let world = host.stop().await;
    let text = scrim(world.root(), ["policy", "shadow"]).good();
    assert!(
        text.contains("harbor, scrim.care.patients: otherwise for 1 of 1 query"),
        "{text}"
    );
    assert!(text.contains("1 would be refused"), "{text}");
    let json = scrim(world.root(), ["policy", "shadow", "--json"]).good();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["differences"][0]["columns_lost"][0], "ward");
    let late = scrim(world.root(), ["policy", "shadow", "--since", "2099-01-01"]).good();
    assert!(
        late.contains("0 queries; nothing would be otherwise"),
        "{late}"
    );
}

#[tokio::test]
async fn the_same_policies_differ_in_nothing() {
    let host = Hosted::start(world()).await;
    loaded(&host).await;
    for id in ["ivan", "rhea", "nora"] {
        let mut client = Client::persona(host.address(), id).await;
        client.query(PATIENTS).await.unwrap();
    }
    let summary = summary(&host).await;
    assert_eq!(summary.queries, 3);
    assert_eq!(summary.differences.iter().count(), 0);
}

#[tokio::test]
async fn a_broken_shadow_stops_nothing() {
    let world = world();
    world.write("policies-next/contracts/patients.odcs.yaml", "kind: [");
    let host = Hosted::start(world).await;
    let mut client = Client::persona(host.address(), "ivan").await;
    client.query(PATIENTS).await.unwrap();
    assert!(host.running().warnings().is_empty());
    let summary = summary(&host).await;
    assert_eq!(summary.version, None);
    assert!(host.engine().shadow().borrow().is_none());
    let world = host.stop().await;
    std::fs::remove_dir_all(world.path("policies-next")).unwrap();
    let host = Hosted::start(world).await;
    let mut client = Client::persona(host.address(), "ivan").await;
    client.query(PATIENTS).await.unwrap();
}

#[tokio::test]
async fn a_change_of_the_shadow_alone_is_noticed() {
    let host = Hosted::start(world()).await;
    let first = loaded(&host).await.version().to_owned();
    let mut shadow = host.engine().shadow();
    let is_other = |now: &Option<Arc<scrim_policy::PolicySet>>| {
        now.as_ref().is_some_and(|now| now.version() != first)
    };
    let agreement = "policies-next/agreements/harbor-visits.yaml";
    host.world
        .edit(agreement, "status: active", "status: ended");
    shadow.wait_for(is_other).await.unwrap();
    host.world.edit(agreement, "status: ended", "status: on");
    shadow.wait_for(Option::is_none).await.unwrap();
    // What nobody compares must not pass for the same.
    let mut client = Client::persona(host.address(), "ivan").await;
    client.query(PATIENTS).await.unwrap();
    let lost = summary(&host).await;
    assert!(lost.stopped.is_some() && lost.queries == 0, "{lost:?}");
    host.world
        .edit(agreement, "status: on", "status: suspended");
    shadow.wait_for(is_other).await.unwrap();
    let enforced = host.running().policies().borrow().clone();
    assert_eq!(
        enforced.policy.version(),
        first,
        "the first set is as it was"
    );
    assert!(enforced.refused.is_none());
}
