//! Who is an operator, and what everybody else finds.

use scrim_server::admin::{
    ACTION, AdminRequest, DocumentsReply, LoadReply, Status as ServerStatus, decode,
};
use scrim_server::{Server, StartError};
use tonic::{Code, Status};

use super::{CONTRACT, Operator, PATIENTS, history};
use crate::client::{Client, statement};
use crate::kit::{Hosted, Scratch, TestClock};

fn administered_by(account: &str) -> Scratch {
    let world = Scratch::demo();
    let path = world.path("scrim.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    world.write(
        "scrim.yaml",
        &format!("{text}\nadministrators: [{account}]\n"),
    );
    world
}

/// All that a status tells.
fn told(status: &Status) -> (Code, String, Vec<u8>) {
    let message = status.message().to_owned();
    (status.code(), message, status.details().to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_07_to_everybody_else_the_channel_does_not_exist() {
    let host = Hosted::start(administered_by("nora")).await;
    let body = AdminRequest::Status.encode().unwrap();
    for id in ["ivan", "rhea", "rolf"] {
        let mut client = Client::persona(host.address(), id).await;
        let unknown = client.action("scrim.nothing", body.clone().into()).await;
        let unknown = told(&unknown.unwrap_err());
        for body in [body.clone(), b"garbage".to_vec(), Vec::new()] {
            let refused = client.action(ACTION, body.into()).await.unwrap_err();
            assert_eq!(told(&refused), unknown, "{id}");
        }
    }
    let mut nora = Client::persona(host.address(), "nora").await;
    let request = nora.request(arrow_flight::Empty {});
    let mut actions = nora.inner.list_actions(request).await.unwrap().into_inner();
    while let Some(action) = actions.message().await.unwrap() {
        assert!(!action.r#type.contains("scrim."), "{}", action.r#type);
    }
    let parts = nora.action(ACTION, body.into()).await.unwrap();
    let status: ServerStatus = decode(&parts.concat()).unwrap();
    assert_eq!(status.policies.tables.len(), 3);
    let garbage = nora.action(ACTION, "garbage".into()).await.unwrap_err();
    assert_eq!(garbage.code(), Code::InvalidArgument, "{garbage}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_token_is_no_session_and_a_session_no_operators_token() {
    let host = Hosted::demo().await;
    let mut operator = Operator::of(&host).await;
    let status: ServerStatus = operator.ask(&AdminRequest::Status).await.unwrap();
    assert_eq!(status.sessions, 0, "an operator's token opens no session");
    // The same token with anything else.
    let body = AdminRequest::Status.encode().unwrap();
    operator.client.token = Some(operator.token(&body));
    let client = &mut operator.client;
    let other = AdminRequest::Reload.encode().unwrap();
    let mut refusals = vec![
        client.action(ACTION, other.into()).await.unwrap_err(),
        client
            .action("CloseSession", body.clone().into())
            .await
            .unwrap_err(),
        client
            .action("GetSessionOptions", "".into())
            .await
            .unwrap_err(),
        client.info(&statement(PATIENTS)).await.unwrap_err(),
    ];
    let mut stranger = Client::connect(host.address()).await;
    stranger.token = Some("s1.nothing.AAAA".to_owned());
    let invalid = stranger.info(&statement(PATIENTS)).await.unwrap_err();
    // A minute later it is no token at all.
    host.clock.advance(chrono::TimeDelta::seconds(61));
    refusals.push(
        operator
            .client
            .action(ACTION, body.into())
            .await
            .unwrap_err(),
    );
    for refusal in &refusals {
        assert_eq!(told(refusal), told(&invalid));
    }
    // A session of somebody who administers nothing.
    let mut nora = Client::persona(host.address(), "nora").await;
    let body = AdminRequest::Status.encode().unwrap();
    let refused = nora.action(ACTION, body.into()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
}

/// Whoever hears an operator cannot say the same again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_token_is_good_once() {
    let host = Hosted::demo().await;
    let body = AdminRequest::Documents.encode().unwrap();
    let mut operator = Operator::of(&host).await;
    operator.client.token = Some(operator.token(&body));
    let client = &mut operator.client;
    client.action(ACTION, body.clone().into()).await.unwrap();
    let again = client.action(ACTION, body.into()).await.unwrap_err();
    let mut stranger = Client::connect(host.address()).await;
    stranger.token = Some("s1.nothing.AAAA".to_owned());
    let invalid = stranger.info(&statement(PATIENTS)).await.unwrap_err();
    assert_eq!(told(&again), told(&invalid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_gets_the_policies_and_the_ledger_names_who_asked_for_a_change() {
    let host = Hosted::start(administered_by("nora")).await;
    let mut operator = Operator::of(&host).await;
    let documents: DocumentsReply = operator.ask(&AdminRequest::Documents).await.unwrap();
    let contract = documents
        .files
        .iter()
        .find(|file| file.path == "contracts/patients.odcs.yaml")
        .unwrap();
    let text = std::fs::read_to_string(host.world.path(CONTRACT)).unwrap();
    assert_eq!(
        (contract.text.as_str(), documents.files.len()),
        (text.as_str(), 15)
    );
    let reply: LoadReply = operator.ask(&AdminRequest::Reload).await.unwrap();
    assert!(matches!(reply, LoadReply::Loaded(loaded) if loaded.version == documents.version));
    let mut nora = Client::persona(host.address(), "nora").await;
    let body = AdminRequest::Reload.encode().unwrap();
    nora.action(ACTION, body.into()).await.unwrap();
    // Who tried what cannot be, too, and the same once for each.
    let version = "zz".to_owned();
    let body = AdminRequest::Rollback { version }.encode().unwrap();
    for _ in 0..2 {
        let LoadReply::Refused(refused) = operator.roll_back("zz").await else {
            panic!("there is no such version");
        };
        assert!(refused.problems[0].contains("`zz`"), "{refused:?}");
    }
    nora.action(ACTION, body.into()).await.unwrap();
    let world = host.stop().await;
    let who = history(&world).into_iter();
    let who: Vec<_> = who.map(|load| (load.by, load.problems.is_some())).collect();
    let key_file = || Some("key file (tester)".to_owned());
    let nora = || Some("nora".to_owned());
    assert_eq!(
        who,
        [
            (None, false),
            (key_file(), false),
            (nora(), false),
            (key_file(), true),
            (nora(), true),
        ]
    );
}

#[tokio::test]
async fn an_administrator_that_is_no_account_stops_the_start() {
    let world = administered_by("nola");
    let error = Server::start(world.config(), TestClock::noon()).await.err();
    let Some(StartError::Problems(problems)) = error else {
        panic!("{error:?}");
    };
    let said = problems.to_string();
    assert!(
        said.contains("scrim.yaml")
            && said.contains("no account `nola`")
            && said.contains("`nora`"),
        "{said}"
    );
}
