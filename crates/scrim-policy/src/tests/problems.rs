//! Broken policy sets, and all that is said about them at once.

use super::{World, agreement, contract};

#[test]
fn all_problems_of_a_broken_set_are_reported_at_once() {
    let access = "purposes: [research]
guards:
  - {id: hold, rows: NOT legal_holt}
  - {id: hold, when: region = 'EU'}
  - {id: empty}
  - {id: strong, columns: {tagged: identifier}, step_up: {acr: mfa, max_age: 15m}}
profiles:
  partner:
    rows: array_has(agreement.regions, region) AND CAST(region AS INT) = 1
    columns:
      claim_id: {mask: partial}
      patient: clear
      contact.zip: hidden
      amount: {mask: rownd, to: 5}
      score: cleer
    tagged: {identifer: hidden}
    limits: {max_row: 5}
  statistics: {release: aggregates, entity: patient_id, min_entities: 10}
exceptions: {emergency: {profile: partner}}
purpose: x";
    let world = World::new()
        .contract(access)
        .agreement("a", "partner", "parameters: {region: [EU]}")
        .agreement("b", "partnr", "purpose: reserch\nstatus: activ")
        .agreement(
            "c",
            "partner",
            "contract: {id: claim, version: 1}\nstart: 2026-13-01",
        )
        .agreement(
            "d",
            "partner",
            "consumer: {organisation: acme, whoo: true}\nend: soon",
        );
    insta::assert_snapshot!(world.problems(), @r"
    agreements/b.yaml:8:9: unknown status `activ` (help: did you mean `active`?)
    agreements/c.yaml:8:32: expected text, found a whole number (help: put it in quotes)
    agreements/c.yaml:9:8: `2026-13-01` is no date (help: write year, month and day, like 2026-12-31)
    agreements/d.yaml:8:11: the key `who` is missing (help: for everyone in the organisation write `who: true`)
    agreements/d.yaml:8:32: unknown key `whoo` (help: did you mean `who`?)
    agreements/d.yaml:9:6: `soon` is no date (help: write year, month and day, like 2026-12-31)
    contracts/claims.odcs.yaml:32:11: the guard `hold` stands here twice
    contracts/claims.odcs.yaml:33:11: the guard guards nothing (help: give it `when` (of the request) or `rows` (of the data))
    contracts/claims.odcs.yaml:34:24: `columns` of a guard is not enforced by this version, so the policy set is refused (help: remove it, or use a version that enforces it)
    contracts/claims.odcs.yaml:34:55: `step_up` of a guard is not enforced by this version, so the policy set is refused (help: remove it, or use a version that enforces it)
    contracts/claims.odcs.yaml:42:21: there is no mask `rownd`; the masks are bottom_code, bucket, constant, email, ip_truncate, null, partial, prefix, pseudonymize, regex_replace, round, top_code, truncate_date, zip3
    contracts/claims.odcs.yaml:43:20: unknown treatment `cleer` (help: did you mean `clear`?)
    contracts/claims.odcs.yaml:45:20: unknown key `max_row` (help: did you mean `max_rows`?)
    contracts/claims.odcs.yaml:46:31: `release: aggregates` is not enforced by this version, so the policy set is refused (help: remove it, or use a version that enforces it)
    contracts/claims.odcs.yaml:46:43: `entity` is not enforced by this version, so the policy set is refused (help: remove it, or use a version that enforces it)
    contracts/claims.odcs.yaml:46:63: `min_entities` is not enforced by this version, so the policy set is refused (help: remove it, or use a version that enforces it)
    contracts/claims.odcs.yaml:47:7: `exceptions` (break-glass) is not enforced by this version, so the policy set is refused (help: remove it, or use a version that enforces it)
    contracts/claims.odcs.yaml:48:7: unknown key `purpose` (help: did you mean `purposes`?)
    ");
}

#[test]
fn documents_are_checked_against_one_another_and_the_source() {
    let access = "purposes: [research]
profiles:
  partner:
    rows: array_has(agreement.regions, region) AND score > 0.5
    columns: {claim_id: {mask: partial}, patient: clear, contact.zip: hidden, score: {mask: zip3}}
    tagged: {identifer: hidden, identifier: {mask: ip_truncate}}
  unused: {rows: agreement.level > claim_id}
  broken: {rows: CAST(region AS INT) = 1}
  grouped: {columns: {patient_id: {mask: pseudonymize, scope: 'group:north'}}}";
    let text = contract(access).replace("{name: score}", "{name: scores, physicalName: score}");
    let text = text.replace("{name: region}", "{name: region, physicalName: regoin}");
    let world = World::new()
        .file("contracts/claims.odcs.yaml", &text)
        .file("contracts/copy.odcs.yaml", &contract(access))
        .agreement("a", "partner", "contract: {id: claim, version: ^1}");
    insta::assert_snapshot!(world.problems(), @r"
    agreements/a.yaml:8:16: there is no contract `claim` (help: did you mean `claims`?)
    contracts/claims.odcs.yaml:15:16: the source has no column `regoin` (help: did you mean `region`?)
    contracts/claims.odcs.yaml:33:48: the contract has no column `patient`
    contracts/claims.odcs.yaml:33:85: the contract has no column `score` (help: did you mean `scores`?)
    contracts/claims.odcs.yaml:34:20: warning: no column has the tag `identifer` (help: did you mean `identifier`?)
    contracts/copy.odcs.yaml:3:5: the contract id `claims` is used twice (help: first in contracts/claims.odcs.yaml)
    contracts/copy.odcs.yaml:10:11: the table scrim.insurance.claims has two contracts (help: the other is in contracts/claims.odcs.yaml)
    contracts/copy.odcs.yaml:32:17: warning: no agreement uses the profile `partner`, so its use of `agreement.regions` is not checked
    contracts/copy.odcs.yaml:33:31: mask `partial` cannot keep the type Int64 of `claim_id`; it works on text
    contracts/copy.odcs.yaml:33:48: the contract has no column `patient`
    contracts/copy.odcs.yaml:33:77: path `contact.zip` does not exist; the fields are phone, city
    contracts/copy.odcs.yaml:33:92: mask `zip3` cannot keep the type Float64 of `score`; it works on text
    contracts/copy.odcs.yaml:34:20: warning: no column has the tag `identifer` (help: did you mean `identifier`?)
    contracts/copy.odcs.yaml:35:24: warning: no agreement uses the profile `unused`, so its use of `agreement.level` is not checked
    contracts/copy.odcs.yaml:36:24: converting Utf8View to Int32 can fail on some row (help: write `TRY_CAST(… AS …)`, which is NULL where the value does not fit)
    contracts/copy.odcs.yaml:37:41: the contract does not list the group `north` (help: add `groups: [north]` to `accessPolicy`)
    ");
    let world = World::new()
        .contract(access)
        .agreement(
            "a",
            "partner",
            "parameters: {region: [EU]}\nwhen: contxt.hour > 5",
        )
        .agreement("b", "partnr", "purpose: reserch")
        .agreement("c", "partner", "contract: {id: claim, version: ^1}")
        .file(
            "agreements/c2.yaml",
            &agreement("c", "partner", "parameters: {regions: [EU]}"),
        )
        .agreement("d", "partner", "parameters: {regions: EU}");
    insta::assert_snapshot!(world.problems(), @r"
    agreements/a.yaml:6:10: the profile `partner` uses `agreement.regions`, which this agreement lacks (help: rename its parameter `region` to `regions`)
    agreements/a.yaml:10:7: there is no column `contxt` (help: columns can only be used in `rows`)
    agreements/b.yaml:6:10: the contract has no profile `partnr` (help: did you mean `partner`?)
    agreements/b.yaml:8:10: the contract does not serve the purpose `reserch` (help: did you mean `research`?)
    agreements/c.yaml:8:16: there is no contract `claim` (help: did you mean `claims`?)
    agreements/c2.yaml:3:5: the agreement id `c` is used twice (help: first in agreements/c.yaml)
    contracts/claims.odcs.yaml:32:17: array_has does not support type Utf8 (help: so it is with the parameters of the agreement `d`)
    contracts/claims.odcs.yaml:33:31: mask `partial` cannot keep the type Int64 of `claim_id`; it works on text
    contracts/claims.odcs.yaml:33:48: the contract has no column `patient`
    contracts/claims.odcs.yaml:33:77: path `contact.zip` does not exist; the fields are phone, city
    contracts/claims.odcs.yaml:33:92: mask `zip3` cannot keep the type Float64 of `score`; it works on text
    contracts/claims.odcs.yaml:34:20: warning: no column has the tag `identifer` (help: did you mean `identifier`?)
    contracts/claims.odcs.yaml:35:24: warning: no agreement uses the profile `unused`, so its use of `agreement.level` is not checked
    contracts/claims.odcs.yaml:36:24: converting Utf8View to Int32 can fail on some row (help: write `TRY_CAST(… AS …)`, which is NULL where the value does not fit)
    contracts/claims.odcs.yaml:37:41: the contract does not list the group `north` (help: add `groups: [north]` to `accessPolicy`)
    ");
}

#[test]
fn inv_03_a_contract_without_an_access_policy_gives_no_access() {
    let text = contract("purposes: [research]\nprofiles: {}");
    let bare = text.split("customProperties:").next().unwrap();
    let other = text.replace("accessPolicy", "accesspolicy");
    let spare = text.replace("status: active\n", "status: active\nvendor: {x: 1}\n");
    let several = text.replace("schema:\n", "schema:\n  - {name: second, properties: []}\n");
    let old = text.replace("v3.1.0", "v3.0.2");
    for text in [bare, &other, &spare, &several, &old] {
        let world = World::new().file("contracts/claims.odcs.yaml", text);
        assert!(world.compile().is_err());
    }
    let shown = [bare, &spare, &several, &old].map(|text| {
        World::new()
            .file("contracts/claims.odcs.yaml", text)
            .problems()
    });
    insta::assert_snapshot!(shown.join("\n"), @r"
    contracts/claims.odcs.yaml:1:1: the contract has no `accessPolicy`, so nobody gets access (help: add a custom property `accessPolicy` with purposes and profiles)
    contracts/claims.odcs.yaml:6:1: unknown key `vendor` (help: known keys are apiVersion, authoritativeDefinitions, contractCreatedTs, customProperties, dataProduct, description, domain, id, kind, name, price, roles, schema, servers, slaDefaultElement, slaProperties, status, support, tags, team, tenant, version)
    contracts/claims.odcs.yaml:11:5: expected one schema object, found 2 (help: write a contract for each table)
    contracts/claims.odcs.yaml:1:13: this is ODCS v3.0.2, which is not read (help: write `apiVersion: v3.1.0`)
    ");
}

#[test]
fn inv_09_what_this_version_does_not_enforce_is_refused() {
    for (access, what) in [
        (
            "profiles: {p: {release: aggregates}}",
            "`release: aggregates` is not enforced",
        ),
        (
            "profiles: {p: {release: private}}",
            "`release: private` is not enforced",
        ),
        (
            "profiles: {p: {entity: patient_id}}",
            "`entity` is not enforced",
        ),
        (
            "profiles: {p: {min_entities: 5}}",
            "`min_entities` is not enforced",
        ),
        (
            "profiles: {}\nguards: [{id: g, when: true, step_up: {acr: mfa}}]",
            "`step_up` of a guard",
        ),
        (
            "profiles: {}\nguards: [{id: g, rows: true, columns: {tagged: x}}]",
            "`columns` of a guard",
        ),
        (
            "profiles: {}\nexceptions: {e: {}}",
            "`exceptions` (break-glass) is not enforced",
        ),
        (
            "profiles: {p: {obligations: [log]}}",
            "unknown key `obligations`",
        ),
        (
            "profiles: {}\nguards: [{id: g, when: true, notify: x}]",
            "unknown key `notify`",
        ),
    ] {
        let problems = World::new()
            .contract(&format!("purposes: [research]\n{access}"))
            .problems();
        assert!(problems.contains(what), "{access}: {problems}");
    }
    let rows = World::new().contract("purposes: [research]\nprofiles: {p: {release: rows}}");
    assert!(rows.compile().is_ok());
}

#[test]
fn problems_point_into_their_file() {
    let access = "purposes: [research]\nprofiles:\n  partner:\n    rows: regoin = 'EU'";
    let Err(problems) = World::new()
        .contract(access)
        .agreement("a", "partner", "")
        .compile()
    else {
        panic!("it must not load")
    };
    insta::assert_snapshot!(problems.render(), @r"
     × there is no column `regoin`
       ╭─[contracts/claims.odcs.yaml:32:17]
    31 │         partner:
    32 │           rows: regoin = 'EU'
       ·                 ──────┬──────
       ·                       ╰── here
       ╰────
     help: did you mean `region`?
    ");
}

#[test]
fn two_masks_for_the_same_column_are_warned_of() {
    let access = "purposes: [research]
profiles:
  a: {columns: {amount: {mask: round, to: 10}, region: clear}}
  b: {columns: {amount: {mask: round, to: 100}, region: {mask: 'null'}}}";
    let world = World::new()
        .contract(access)
        .agreement("one", "a", "")
        .agreement("two", "b", "");
    insta::assert_snapshot!(world.problems(), @"agreements/two.yaml:6:10: warning: `one` and `two` mask `amount` differently; where both admit a row, `one` decides");
    let apart = World::new()
        .contract(access)
        .agreement("one", "a", "")
        .agreement("two", "b", "consumer: {organisation: globex, who: true}");
    assert_eq!(apart.problems(), "");
    let each = World::new()
        .contract(access)
        .agreement("one", "a", "")
        .agreement("two", "b", "")
        .agreement("three", "b", "")
        .agreement("g-1", "a", "consumer: {organisation: globex, who: true}")
        .agreement("g-2", "b", "consumer: {organisation: globex, who: true}");
    insta::assert_snapshot!(each.problems(), @r"
    agreements/g-2.yaml:6:10: warning: `g-1` and `g-2` mask `amount` differently; where both admit a row, `g-1` decides
    agreements/three.yaml:6:10: warning: `one` and `three` mask `amount` differently; where both admit a row, `one` decides
    ");
}

#[test]
fn inv_03_an_agreement_for_another_version_is_warned_of() {
    let access = "purposes: [research]\nprofiles: {p: {default: clear}}";
    let with = |version: &str, more: &str| {
        let lines = format!("contract: {{id: claims, version: '{version}'}}{more}");
        World::new().contract(access).agreement("a", "p", &lines)
    };
    insta::assert_snapshot!(with("^9", "").problems(), @"agreements/a.yaml:8:33: warning: the agreement is for version ^9 of the contract, which has version 1.2.0, so it gives no access (help: if it is meant for that one too, write `^1.2.0`)");
    for (version, more) in [("^1", ""), ("*", ""), ("^9", "\nstatus: ended")] {
        assert_eq!(with(version, more).problems(), "", "{version}");
    }
    assert_ne!(with("^9", "\nstatus: suspended").problems(), "");
    let early = contract(access).replace("version: 1.2.0", "version: 2.0.0-rc1");
    let world = World::new()
        .file("contracts/claims.odcs.yaml", &early)
        .agreement("a", "p", "");
    assert!(world.problems().ends_with("write `2.0.0-rc1`)"));
}

#[test]
fn what_is_almost_a_date_or_a_version_is_none() {
    let access = "purposes: [research]\nprofiles: {p: {default: clear}}";
    for (line, what) in [
        ("start: 26-01-01", "`26-01-01` is no date"),
        ("start: 2026-1-1", "`2026-1-1` is no date"),
        ("end: 2026-02-30", "`2026-02-30` is no date"),
        ("end: +2026-12-31", "`+2026-12-31` is no date"),
        ("apiVersion: v0.9.", "version v0.9., which is not read"),
        ("apiVersion: v0.9.x", "version v0.9.x, which is not read"),
        (
            "apiVersion: v0.9.0.1",
            "version v0.9.0.1, which is not read",
        ),
    ] {
        let problems = World::new()
            .contract(access)
            .agreement("a", "p", line)
            .problems();
        assert!(problems.contains(what), "{line}: {problems}");
    }
}

#[test]
fn the_first_of_several_is_named_and_a_contract_may_have_no_profiles() {
    let world = World::new()
        .contract("purposes: [research]\nprofiles: {}")
        .file("agreements/1.yaml", &agreement("a", "p", ""))
        .file("agreements/2.yaml", &agreement("a", "p", ""))
        .file("agreements/3.yaml", &agreement("a", "p", ""));
    insta::assert_snapshot!(world.problems(), @r"
    agreements/1.yaml:6:10: the contract has no profile `p` (help: it has no profiles yet)
    agreements/2.yaml:3:5: the agreement id `a` is used twice (help: first in agreements/1.yaml)
    agreements/2.yaml:6:10: the contract has no profile `p` (help: it has no profiles yet)
    agreements/3.yaml:3:5: the agreement id `a` is used twice (help: first in agreements/1.yaml)
    agreements/3.yaml:6:10: the contract has no profile `p` (help: it has no profiles yet)
    ");
}

#[test]
fn a_field_that_is_named_needs_no_tag_to_decide() {
    let tagged = "{name: phone, tags: [identifier, contact]}";
    let of = |columns: &str| {
        let access = format!(
            "purposes: [research]
profiles:
  p:
    columns: {columns}
    tagged: {{identifier: {{mask: 'null'}}, contact: {{mask: partial}}}}"
        );
        let text = contract(&access).replace("{name: phone, tags: [identifier]}", tagged);
        World::new()
            .file("contracts/claims.odcs.yaml", &text)
            .agreement("a", "p", "")
            .problems()
    };
    assert_eq!(of("{contact: clear, contact.phone: hidden}"), "");
    insta::assert_snapshot!(of("{contact: clear}"), @"contracts/claims.odcs.yaml:33:57: warning: `phone` has the tags `identifier` and `contact` with different masks; the first counts (help: name the column in the profile)");
}

#[test]
fn servers_are_found_by_environment() {
    let text = contract("purposes: [research]\nprofiles: {}").replace(
        "servers:\n",
        "servers:
  - {server: lake, type: snowflake, environment: lake}
  - server: bucket
    type: s3
    environment: production
    location: s3://claims/2026
    endpointUrl: https://minio.example
    format: parquet
    customProperties: [{property: credentials, value: bucket-reader}]
  - {server: db, type: postgres, environment: db, host: h, port: 5432, database: d, schema: s}
",
    );
    let file = scrim_document::SourceFile::new("claims.odcs.yaml", text);
    let documents = crate::Documents::parse(vec![file]).unwrap();
    let contract = documents.contracts().next().unwrap();
    let name = |environment| match contract.server(environment) {
        Ok(server) => format!("{} {:?} {:?}", server.name, server.kind, server.credentials),
        Err(problem) => problem.to_string(),
    };
    let environments = [
        None,
        Some("test"),
        Some("production"),
        Some("db"),
        Some("lake"),
        Some("x"),
    ];
    insta::assert_snapshot!(environments.map(name).join("\n"), @r#"
    claims.odcs.yaml:8:5: servers of type `snowflake` are not read (help: we read local, s3, azure, postgres, and custom with a location that starts with gs:// or https://)
    files Files(FileServer { place: Local { path: "data/claims.parquet" }, format: Parquet }) None
    bucket Files(FileServer { place: S3 { location: "s3://claims/2026", endpoint_url: Some("https://minio.example"), region: None, addressing: Path }, format: Parquet }) Some("bucket-reader")
    db Postgres(PostgresServer { host: "h", port: 5432, database: "d", schema: "s", tls: VerifyFull { ca: None } }) None
    claims.odcs.yaml:8:5: servers of type `snowflake` are not read (help: we read local, s3, azure, postgres, and custom with a location that starts with gs:// or https://)
    claims.odcs.yaml:1:1: no server for the environment `x` (help: add one under `servers`)
    "#);
}
