//! What happens in the folder of policies, and what of it comes into force.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use scrim_ledger::LoadCause;
use tonic::Code;

use super::{AGREEMENT, CONTRACT, PATIENTS, another, count, history, until, version};
use crate::client::{Client, code};
use crate::kit::{Hosted, Scratch, copy};

const RULE: &str = "rows: NOT legal_hold";
const NARROWER: &str = "rows: NOT legal_hold AND ward = 'Lighthouse'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_in_the_folder_is_in_force_and_in_the_ledger() {
    let host = Hosted::demo().await;
    let mut policies = host.running().policies();
    let first = version(&host);
    let mut rolf = Client::persona(host.address(), "rolf").await;
    let before = count(&mut rolf, PATIENTS).await.unwrap();
    host.world.edit(CONTRACT, RULE, NARROWER);
    let second = another(&mut policies, &first).await;
    let after = count(&mut rolf, PATIENTS).await.unwrap();
    assert!((1..before).contains(&after), "{after} of {before}");
    // An agreement that goes takes its table along, and comes back with it.
    let agreement = fs::read_to_string(host.world.path(AGREEMENT)).unwrap();
    fs::remove_file(host.world.path(AGREEMENT)).unwrap();
    let third = another(&mut policies, &second).await;
    let gone = count(&mut rolf, PATIENTS).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound, "{gone}");
    host.world.write(AGREEMENT, &agreement);
    assert_eq!(another(&mut policies, &third).await, second);
    assert_eq!(count(&mut rolf, PATIENTS).await.unwrap(), after);
    let loads = history(&host.stop().await);
    let told: Vec<_> = loads
        .iter()
        .map(|l| (l.version.clone().unwrap(), l.cause))
        .collect();
    let folder = Some(LoadCause::Folder);
    assert_eq!(
        told,
        [
            (first, Some(LoadCause::Start)),
            (second.clone(), folder),
            (third, folder),
            (second, folder),
        ]
    );
    assert_eq!(loads[0].files.len(), 15);
    let hash = |at: usize| {
        let mut files = loads[at].files.iter();
        let of = files.find(|(path, _)| path == "contracts/patients.odcs.yaml");
        of.unwrap().1.clone()
    };
    assert_ne!(hash(0), hash(1));
    assert_eq!(hash(1), hash(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_03_what_is_wrong_leaves_in_force_what_was_and_is_told_once() {
    let host = Hosted::demo().await;
    let mut policies = host.running().policies();
    let first = version(&host);
    let mut rolf = Client::persona(host.address(), "rolf").await;
    let before = count(&mut rolf, PATIENTS).await.unwrap();
    host.world.edit(AGREEMENT, "status: active", "status: on");
    let now = until(&mut policies, |now| now.refused.is_some()).await;
    let refused = now.refused.unwrap();
    assert_eq!(now.policy.version(), first);
    assert!(
        refused.problems[0].contains("meridian-patients.yaml:")
            && refused.problems[0].contains("`on`"),
        "{refused:?}"
    );
    assert_eq!(count(&mut rolf, PATIENTS).await.unwrap(), before);
    // Whoever asks for it gets the same answer, and it is no news.
    let again = host.running().reload().await.unwrap().unwrap_err();
    assert_eq!(again.problems, refused.problems);
    host.world.edit(AGREEMENT, "status: on", "status: active");
    let now = until(&mut policies, |now| now.refused.is_none()).await;
    assert_eq!(now.policy.version(), first);
    let loads = history(&host.stop().await);
    assert_eq!(loads.len(), 2, "{loads:?}");
    let problems = loads[1].problems.as_ref().unwrap();
    assert!(problems.contains("meridian-patients.yaml:"), "{problems}");
    assert_eq!(loads[1].cause, Some(LoadCause::Folder));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_written_file_and_a_rename_dance_are_not_noticed() {
    let host = Hosted::demo().await;
    let mut policies = host.running().policies();
    let first = version(&host);
    let path = host.world.path(CONTRACT);
    let text = fs::read_to_string(&path).unwrap().replace(RULE, NARROWER);
    // Half of it, for as long as nobody closes the file; another change comes meanwhile.
    let mut file = File::create(&path).unwrap();
    let (half, rest) = text.split_at(text.len() / 2);
    file.write_all(half.as_bytes()).unwrap();
    file.sync_all().unwrap();
    host.world.edit(AGREEMENT, "end: ", "end:  ");
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    let second = another(&mut policies, &first).await;
    // As editors do it: the old file aside, the new one under another name, then in its place.
    let aside = path.with_extension("yaml~");
    let new = path.with_file_name(".patients.odcs.yaml.new");
    fs::rename(&path, &aside).unwrap();
    fs::write(
        &new,
        text.replace("ward = 'Lighthouse'", "ward = 'Sunroom'"),
    )
    .unwrap();
    fs::rename(&new, &path).unwrap();
    fs::remove_file(&aside).unwrap();
    let third = another(&mut policies, &second).await;
    let loads = history(&host.stop().await);
    let told: Vec<_> = loads
        .into_iter()
        .map(|load| load.version.unwrap())
        .collect();
    assert_eq!(told, [first, second, third], "nothing came in between");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_goes_and_comes_back_is_watched_on() {
    let host = Hosted::demo().await;
    let mut policies = host.running().policies();
    let first = version(&host);
    let root = host.world.path("policies");
    let kept = tempfile::tempdir().unwrap();
    copy(&root, kept.path(), &[]);
    fs::remove_dir_all(&root).unwrap();
    let now = until(&mut policies, |now| now.refused.is_some()).await;
    assert!(now.refused.unwrap().problems[0].contains("no folder `contracts`"));
    assert_eq!(
        now.policy.version(),
        first,
        "a folder that is gone is no decision"
    );
    fs::create_dir(&root).unwrap();
    copy(kept.path(), &root, &[]);
    until(&mut policies, |now| {
        now.refused.is_none() && now.policy.version() == first
    })
    .await;
    host.world.edit(CONTRACT, RULE, NARROWER);
    another(&mut policies, &first).await;
}

/// As Kubernetes mounts a ConfigMap: every file is a link through a link that is swapped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_links_is_swapped_as_a_whole() {
    let world = Scratch::demo();
    for part in ["contracts", "agreements"] {
        let folder = world.path(&format!("policies/{part}"));
        let data = folder.join("..1");
        fs::create_dir(&data).unwrap();
        symlink("..1", folder.join("..data")).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if name.to_str().unwrap().starts_with("..") {
                continue;
            }
            fs::rename(&path, data.join(name)).unwrap();
            symlink(std::path::Path::new("..data").join(name), &path).unwrap();
        }
    }
    let host = Hosted::start(world).await;
    let mut policies = host.running().policies();
    let mut before = version(&host);
    let folder = host.world.path("policies/contracts");
    for (from, to, ward) in [("..1", "..2", "Lighthouse"), ("..2", "..3", "Sunroom")] {
        fs::create_dir(folder.join(to)).unwrap();
        copy(&folder.join(from), &folder.join(to), &[]);
        let contract = folder.join(to).join("patients.odcs.yaml");
        let text = fs::read_to_string(&contract).unwrap();
        let rule = format!("rows: NOT legal_hold AND ward = '{ward}'");
        let old = text
            .lines()
            .find(|line| line.contains("legal_hold") && line.contains("rows:"));
        let old = old.unwrap().trim().trim_start_matches("- ").to_owned();
        fs::write(&contract, text.replace(&old, &rule)).unwrap();
        symlink(to, folder.join("..new")).unwrap();
        fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
        fs::remove_dir_all(folder.join(from)).unwrap();
        before = another(&mut policies, &before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn inv_11_a_query_sees_one_policy_set_however_often_they_change() {
    let host = Arc::new(Hosted::demo().await);
    let mut policies = host.running().policies();
    let mut nora = Client::persona(host.address(), "rolf").await;
    let all = count(&mut nora, PATIENTS).await.unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    // The same table twice: both sides are seen under the same rules, or the difference shows.
    let sql = "SELECT (SELECT count(*) FROM care.patients) * 1000000
                    + (SELECT count(*) FROM care.patients) AS n";
    let asking: Vec<_> = (0..3)
        .map(|_| {
            let (host, ended) = (Arc::clone(&host), Arc::clone(&ended));
            tokio::spawn(async move {
                let mut client = Client::persona(host.address(), "rolf").await;
                let mut seen = std::collections::BTreeSet::new();
                while !ended.load(Ordering::Relaxed) {
                    // What was announced under one set may be given under the next.
                    let ticket = client.ticket(sql).await;
                    let batch = match client.get(ticket).await {
                        Ok(fetched) => fetched.batch(),
                        // The next set shows other rows, so what this one shows is not for long.
                        Err(status) => {
                            assert_eq!(code(&status), "revoked", "{status:?}");
                            continue;
                        }
                    };
                    let n = batch.column(0).as_primitive::<Int64Type>().value(0);
                    assert_eq!(n / 1_000_000, n % 1_000_000, "one query, two policy sets");
                    seen.insert(n % 1_000_000);
                }
                seen
            })
        })
        .collect();
    let mut now = version(&host);
    let mut versions = vec![now.clone()];
    for turn in 0..10 {
        let (from, to) = if turn % 2 == 0 {
            (RULE, NARROWER)
        } else {
            (NARROWER, RULE)
        };
        host.world.edit(CONTRACT, from, to);
        now = another(&mut policies, &now).await;
        versions.push(now.clone());
    }
    ended.store(true, Ordering::Relaxed);
    let mut seen = std::collections::BTreeSet::new();
    for asking in asking {
        seen.extend(asking.await.unwrap());
    }
    assert!(seen.contains(&all) && seen.len() == 2, "{seen:?} of {all}");
    let world = Arc::into_inner(host).unwrap().stop().await;
    let records = world.records();
    assert!(records.iter().all(|record| {
        record
            .policy_version
            .as_ref()
            .is_none_or(|version| versions.contains(version))
    }));
}
