//! `scrim contract new`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use scrim_testkit::postgres::{PASSWORD, Postgres, READER};
use scrim_testkit::s3::{ACCESS_KEY, S3Server, SECRET_KEY};

use super::{Run, scrim, scrim_in};
use crate::kit::{Scratch, copy};

fn new(world: &Scratch, arguments: &[&str]) -> Run {
    scrim(world.root(), ["contract", "new"].iter().chain(arguments))
}

const CONFIG: [&str; 2] = ["--config", "scrim.yaml"];

/// Drafts a contract of a table into the world's policies.
fn add(world: &Scratch, from: &str, table: &str) -> String {
    let path = format!("policies/contracts/{table}.odcs.yaml");
    let arguments = ["--from", from, "--table", table, "--out", &path];
    let arguments: Vec<&str> = arguments.into_iter().chain(CONFIG).collect();
    new(world, &arguments).good();
    fs::read_to_string(world.path(&path)).unwrap()
}

#[test]
fn a_draft_loads_and_shows_nothing() {
    let world = Scratch::demo();
    let people = add(&world, "data/patients.parquet", "people");
    let stays = add(&world, "data/visits/*.parquet", "stays");
    let bills = add(&world, "data/claims.parquet", "bills");
    let partners = add(&world, "lookups/entitlements.csv", "partners");
    for (text, words) in [
        (
            &people,
            &[
                "environment: demo",
                "path: data/patients.parquet",
                "named like a national identity number",
                "named like an e-mail address; ",
                "contact.email: {mask: email}",
                "look like IP addresses",
            ][..],
        ),
        (
            &stays,
            &["path: \"data/visits/*.parquet\"", "notes: hidden"],
        ),
        (&bills, &["look like IBANs", "physicalType: DECIMAL(12,2)"]),
        (&partners, &["format: csv"]),
    ] {
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(!text.contains("canary"), "{text}");
        assert!(text.ends_with("          default: hidden\n"), "{text}");
    }
    let said = scrim(world.root(), ["policy", "check", "policies"]).good();
    assert!(said.contains("in order;"), "{said}");
    assert!(
        said.contains("public.people") && said.contains("public.stays"),
        "{said}"
    );
    // nobody has an agreement, and the profile shows nothing to who would have one
    let sql = "SELECT * FROM public.people";
    let said = scrim(world.root(), ["explain", "--as", "nora", sql]).good();
    assert!(!said.contains("Shown to nora"), "{said}");
}

/// The masks that a draft proposes fit their columns.
#[test]
fn the_hints_of_a_draft_load() {
    let world = Scratch::demo();
    for (from, table) in [
        ("data/patients.parquet", "people"),
        ("data/visits/*.parquet", "stays"),
        ("data/claims.parquet", "bills"),
    ] {
        let text = add(&world, from, table);
        let hinted = text.replace("          # columns:", "          columns:");
        let hinted = hinted.replace("          #   ", "            ");
        assert!(hinted.matches("{mask: ").count() >= 2, "{text}");
        world.write(&format!("policies/contracts/{table}.odcs.yaml"), &hinted);
    }
    let said = scrim(world.root(), ["policy", "check", "policies"]).good();
    assert!(said.contains("in order;"), "{said}");
}

#[test]
fn a_draft_goes_to_standard_output_and_never_over_a_file() {
    let world = Scratch::demo();
    let from = ["--from", "data/claims.parquet"];
    let text = new(&world, &from).good();
    assert!(text.contains("id: claims\n"), "{text}");
    // without a configuration there is no environment to name
    assert!(!text.contains("environment"), "{text}");
    let out = ["--from", "data/claims.parquet", "--out", "claims.yaml"];
    let said = new(&world, &out).good();
    assert!(said.contains("claims.yaml"), "{said}");
    assert_eq!(fs::read_to_string(world.path("claims.yaml")).unwrap(), text);
    world.write("claims.yaml", "mine");
    let said = new(&world, &out).bad(2);
    assert!(
        said.contains("claims.yaml") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(world.path("claims.yaml")).unwrap(),
        "mine"
    );
    let forced: Vec<&str> = out.into_iter().chain(["--force"]).collect();
    new(&world, &forced).good();
    assert_eq!(fs::read_to_string(world.path("claims.yaml")).unwrap(), text);
}

#[test]
fn inv_15_mistakes_are_told_without_what_was_typed_in_secret() {
    let world = Scratch::demo();
    for (arguments, code, words) in [
        (
            &["--from", "data/none.parquet"][..],
            1,
            &["none.parquet"][..],
        ),
        (&["--from", "lookups/entitlements"], 1, &["entitlements"]),
        (&["--from", "ftp://sesame/a"], 2, &["s3://"]),
        (
            &["--from", "postgres://u:sesame@h/d", "--table", "t"],
            2,
            &["PGPASSWORD"],
        ),
        (&["--from", "postgres://u@h/d"], 2, &["--table"]),
        (
            &["--from", "data/claims.parquet", "--schema", "x"],
            2,
            &["--schema"],
        ),
        (&["--from", "data/claims.parquet", "--force"], 2, &["--out"]),
        (
            &["--from", "data/claims.parquet", "--config", "no.yaml"],
            2,
            &["no.yaml"],
        ),
        (&[], 2, &["--from"]),
    ] {
        let said = new(&world, arguments).bad(code);
        assert!(
            words.iter().all(|word| said.contains(word)),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains("sesame"), "{said}");
    }
}

/// A folder whose format nobody names is looked at for a log first.
#[test]
fn a_delta_table_is_never_taken_for_its_files() {
    let world = Scratch::demo();
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/delta/rewritten");
    fs::create_dir(world.path("stays")).unwrap();
    copy(&made, &world.path("stays"), &[]);
    let text = add(&world, "stays", "rewritten");
    assert!(
        text.contains("format: delta\n") && text.contains("; 7 rows"),
        "{text}"
    );
    let said = scrim(world.root(), ["policy", "check", "policies"]).good();
    assert!(said.contains("in order;"), "{said}");
}

/// Gives the world's server the credentials of a source.
fn secrets(world: &Scratch, text: &str) {
    world.write("secrets.yaml", text);
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(world.path("secrets.yaml"), mode).unwrap();
    let config = fs::read_to_string(world.path("scrim.yaml")).unwrap();
    world.write(
        "scrim.yaml",
        &format!("secrets: {{file: secrets.yaml}}\n{config}"),
    );
}

const TABLE: &str = "
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE stays (
        region text, visit_id bigint, \"Holder\" text NOT NULL, cost numeric(12,2), share numeric,
        seen timestamptz, address inet, doc jsonb, codes text[], searched tsvector[], mood mood,
        words tsvector, PRIMARY KEY (region, visit_id));
    INSERT INTO stays
        SELECT 'N', n, 'canary' || n || '@example.org', n, n, now(), '10.0.0.1', '{\"a\": 1}', '{x}',
               ARRAY['canary'::tsvector], 'good', 'canary'
        FROM generate_series(1, 100) n;
    GRANT SELECT ON stays TO reader;";

#[test]
fn a_draft_of_a_database_table_knows_its_catalog() {
    let world = Scratch::demo();
    let database = Postgres::shared().database();
    database.execute(TABLE);
    let (port, ca) = (database.server().port(), database.server().authority());
    let name = database.name();
    let from = format!(
        "postgres://{READER}@localhost:{port}/{name}?sslrootcert={}",
        ca.display()
    );
    let path = "policies/contracts/stays.odcs.yaml";
    let arguments = [
        "contract", "new", "--from", &from, "--table", "stays", "--out", path,
    ];
    let arguments: Vec<&str> = arguments.into_iter().chain(CONFIG).collect();
    let password = [("PGPASSWORD", PASSWORD)];
    let run = scrim_in(world.root(), &arguments, &password);
    assert!(
        run.err.contains(name) && run.err.contains("secrets file"),
        "{run:?}"
    );
    run.good();
    let text = fs::read_to_string(world.path(path)).unwrap();
    for words in [
        "type: postgres\n",
        "host: localhost\n",
        &format!("port: {port}\n"),
        &format!("{{property: credentials, value: {name}}}"),
        "property: tlsCa",
        "- name: region\n        logicalType: string\n        physicalType: text\n        \
         primaryKey: true\n        primaryKeyPosition: 1\n        required: true\n",
        "primaryKeyPosition: 2\n",
        "physicalName: Holder\n",
        "all 100 sampled values look like e-mail addresses",
        "physicalType: numeric(12,2)\n",
        "# numeric in the database, read as text; `double` would read it as numbers, rounded\n",
        "physicalType: timestamp with time zone\n",
        "# tsvector in the database, read as text\n        physicalType: text\n",
        "tagged: {direct-identifier: hidden}",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    for secret in ["canary", PASSWORD] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    secrets(
        &world,
        &format!("{name}: {{user: {READER}, password: {PASSWORD}}}\n"),
    );
    let said = scrim(world.root(), ["policy", "check", "policies"]).good();
    assert!(
        said.contains("in order;") && said.contains("public.stays"),
        "{said}"
    );
    // with the credentials' name nothing else is needed, and the same is drafted
    let named = [&arguments[..], &["--credentials", name, "--force"]].concat();
    scrim(world.root(), &named).good();
    assert_eq!(fs::read_to_string(world.path(path)).unwrap(), text);
    let wrong = [("PGPASSWORD", "sesame")];
    let arguments = [&arguments[..], &["--force"]].concat();
    let said = scrim_in(world.root(), &arguments, &wrong).bad(1);
    assert!(
        said.contains("localhost") && !said.contains("sesame"),
        "{said}"
    );
}

#[test]
fn a_draft_of_an_object_store_names_its_credentials() {
    let world = Scratch::demo();
    let lake = tempfile::tempdir().unwrap();
    let server = S3Server::start(lake.path()).unwrap();
    let people = fs::read(world.path("data/patients.parquet")).unwrap();
    server.put("lake", "people/part-0.parquet", &people);
    let endpoint = server.endpoint();
    let path = "policies/contracts/people.odcs.yaml";
    let arguments = [
        "contract",
        "new",
        "--from",
        "s3://lake/people/",
        "--out",
        path,
        "--force",
    ];
    let more = ["--endpoint-url", &endpoint, "--region", "eu-west-1"];
    let arguments = [&arguments[..], &more, &CONFIG].concat();
    let environment = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    scrim_in(world.root(), &arguments, &environment).good();
    let text = fs::read_to_string(world.path(path)).unwrap();
    assert!(!text.contains("credentials"), "{text}");
    secrets(
        &world,
        &format!("lake: {{access_key_id: {ACCESS_KEY}, secret_access_key: {SECRET_KEY}}}\n"),
    );
    let named = [&arguments[..], &["--credentials", "lake"]].concat();
    scrim(world.root(), &named).good();
    let text = fs::read_to_string(world.path(path)).unwrap();
    for words in [
        "type: s3\n",
        "location: \"s3://lake/people/\"\n",
        &format!("endpointUrl: \"{endpoint}\"\n"),
        "format: parquet\n",
        "{property: credentials, value: lake}",
        "{property: region, value: eu-west-1}",
        "contact.email: {mask: email}",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    for secret in ["canary", ACCESS_KEY, SECRET_KEY] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let said = scrim(world.root(), ["policy", "check", "policies"]).good();
    assert!(
        said.contains("in order;") && said.contains("public.people"),
        "{said}"
    );
    let unknown = [&arguments[..], &["--credentials", "pond"]].concat();
    let said = scrim(world.root(), &unknown).bad(1);
    assert!(said.contains("`pond`"), "{said}");
}

fn contract(world: &Scratch, arguments: &[&str]) -> Run {
    scrim(world.root(), ["contract"].iter().chain(arguments))
}

const CLAIMS: [&str; 2] = [
    "policies/contracts/claims.odcs.yaml",
    "policies/contracts/claims.policy.yaml",
];

#[test]
fn an_access_policy_moves_out_of_its_contract_and_back() {
    let world = Scratch::demo();
    let [whole, policy] = CLAIMS;
    let before = fs::read_to_string(world.path(whole)).unwrap();
    let said = contract(&world, &["split", whole]).good();
    assert_eq!(said, format!("{policy}: the access policy of {whole}\n"));
    let text = fs::read_to_string(world.path(policy)).unwrap();
    assert!(text.starts_with("contract: claims\npurposes: ["), "{text}");
    let said = scrim(world.root(), ["policy", "check", "policies"]).good();
    assert!(said.contains("in order;"), "{said}");
    // reasons name the lines of the file that holds them
    let arguments = ["explain", "--as", "ivan", "--purpose", "fraud-analytics"];
    let sql = "SELECT * FROM insurance.claims";
    let said = scrim(world.root(), arguments.iter().chain([&sql])).good();
    assert!(said.contains("claims.policy.yaml:"), "{said}");
    let twice = contract(&world, &["split", whole]).bad(2);
    assert!(twice.contains("no `accessPolicy` to move"), "{twice}");
    // it may lie beside the folder of contracts, too, under any name
    let moved = world.path("policies/of-claims.policy.yaml");
    fs::rename(world.path(policy), &moved).unwrap();
    scrim(world.root(), ["policy", "check", "policies"]).good();
    contract(&world, &["join", whole]).good();
    assert_eq!(fs::read_to_string(world.path(whole)).unwrap(), before);
    assert!(!moved.exists());
    let said = contract(&world, &["join", whole]).bad(2);
    assert!(said.contains("names the contract `claims`"), "{said}");
}

#[test]
fn a_file_in_the_way_is_never_replaced() {
    let world = Scratch::demo();
    let [whole, policy] = CLAIMS;
    world.write(policy, "mine");
    let before = fs::read_to_string(world.path(whole)).unwrap();
    let said = contract(&world, &["split", whole]).bad(2);
    assert!(said.contains(policy), "{said}");
    assert_eq!(fs::read_to_string(world.path(whole)).unwrap(), before);
    assert_eq!(fs::read_to_string(world.path(policy)).unwrap(), "mine");
}

#[test]
fn schemas_are_printed_one_by_one_and_written_all_at_once() {
    let world = Scratch::empty();
    let printed = contract(&world, &["schema", "agreement"]).good();
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(schema["title"], "Scrim: agreement");
    contract(&world, &["schema"]).bad(2);
    contract(&world, &["schema", "--out", "schemas"]).good();
    let written = fs::read_to_string(world.path("schemas/agreement.schema.json")).unwrap();
    assert_eq!(written, printed);
    assert_eq!(fs::read_dir(world.path("schemas")).unwrap().count(), 5);
}
