//! The accounts file.

use scrim_document::SourceFile;
use scrim_model::{PrincipalKind, Value};

use super::{at, cheap, parse, secret, two_accounts, types};
use crate::{
    AppendError, IdentityError, NewAccount, PASSWORD_BYTES_MAX, append_account, hash_password,
    password,
};

#[test]
fn an_account_is_read_with_typed_attributes() {
    let accounts = parse(&format!(
        "# people\naccounts:\n  - id: zoë\n    org: acme\n    groups: [analyst, admin]\n    roles: [r]\n    kind: agent\n    acr: mfa\n    on_behalf_of: alice\n    attributes:\n      clearance: 2\n      trusted: true\n      weight: 3\n      since: 2026-01-01T01:00:00+01:00\n      region: 'north'\n      wards: [a, b]\n    password_hash: '{}'\n",
        cheap("x")
    ))
    .unwrap();
    let zoe = accounts.get("zoë").unwrap();
    assert_eq!((zoe.org.as_str(), zoe.kind), ("acme", PrincipalKind::Agent));
    assert_eq!(zoe.groups, ["analyst", "admin"]);
    assert_eq!(
        (zoe.acr.as_deref(), zoe.on_behalf_of.as_deref()),
        (Some("mfa"), Some("alice"))
    );
    assert_eq!(zoe.attributes["clearance"], Value::Int64(2));
    assert_eq!(zoe.attributes["trusted"], Value::Bool(true));
    assert_eq!(zoe.attributes["weight"], Value::Float64(3.0));
    assert_eq!(zoe.attributes["since"], Value::Timestamp(at(0)));
    assert_eq!(zoe.attributes["region"], Value::Text("north".to_owned()));
    assert_eq!(
        zoe.attributes["wards"],
        Value::TextList(vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(zoe.authenticated_at, None);
    assert_eq!(accounts.ids().collect::<Vec<_>>(), ["zoë"]);
    assert_eq!(accounts.vouch("zoë").unwrap().get(), zoe);
    assert!(accounts.vouch("nobody").is_none());
}

#[test]
fn empty_files_have_no_accounts() {
    for text in ["", "# none yet\n", "accounts:\n", "accounts: []\n"] {
        assert_eq!(parse(text).unwrap().ids().count(), 0, "{text:?}");
    }
}

/// Every problem, by line, at once.
#[test]
fn problems_name_the_line_and_what_to_do() {
    let good = cheap("x");
    let text = format!(
        "accounts:
  - {{id: a, org: o, password_hash: '{good}', grops: [x]}}
  - {{id: a, org: o, password_hash: '{good}'}}
  - {{org: o, password_hash: '{good}'}}
  - {{id: b, org: o, password_hash: hunter2}}
  - {{id: c, org: o, kind: robot, password_hash: '{good}'}}
  - {{id: d, org: o, attributes: {{clearence: 2}}, password_hash: '{good}'}}
  - {{id: e, org: o, attributes: {{clearance: high}}, password_hash: '{good}'}}
  - {{id: f, org: o, attributes: {{since: yesterday}}, password_hash: '{good}'}}
  - {{id: 'g:h', org: o, password_hash: '{good}'}}
  - {{id: i, org: o}}
  - {{id: j, org: o, attributes: {{weight: .inf}}, password_hash: '{good}'}}
  - {{id: k, org: o, attributes: {{auth_age: 3}}, password_hash: '{good}'}}
  - {{id: l, org: o, password: swordfish}}
"
    );
    let problems = parse(&text).unwrap_err();
    let expected = [
        (2, "unknown key `grops`"),
        (3, "twice"),
        (4, "`id` is missing"),
        (5, "not a password hash"),
        (6, "unknown kind `robot`"),
        (
            7,
            "`clearence` is not declared (help: did you mean `clearance`?)",
        ),
        (8, "expected a whole number"),
        (9, "expected an instant"),
        (10, "no colon"),
        (11, "`password_hash` is missing"),
        (12, "expected a number"),
        (13, "`auth_age` is no attribute"),
        (14, "`password_hash` is missing"),
    ];
    for (line, what) in expected {
        let found = problems
            .iter()
            .find(|problem| problem.location().line == line);
        let found = found
            .unwrap_or_else(|| panic!("no problem on line {line}: {problems}"))
            .to_string();
        assert!(
            found.starts_with("accounts.yaml:") && found.contains(what),
            "{found}"
        );
    }
    // One line has two: what is there, and what is not.
    assert_eq!(problems.len(), expected.len() + 1, "{problems}");
    // The report shows the lines, but neither a hash nor a password that stands in its place.
    let report = problems.render();
    assert!(
        report.contains("grops") && report.contains("robot"),
        "{report}"
    );
    for hidden in ["hunter2", "swordfish", "argon2id", good.as_str()] {
        assert!(!report.contains(hidden), "{report}");
    }
}

#[test]
fn inv_15_a_report_of_bad_yaml_shows_no_hash() {
    let good = cheap("x");
    let problems = parse(&format!(
        "accounts:\n  - {{id: a, password_hash: '{good}', [\n"
    ))
    .unwrap_err();
    assert!(
        !problems.render().contains("argon2id"),
        "{}",
        problems.render()
    );
    let accounts = two_accounts();
    assert_eq!(format!("{accounts:?}"), "[\"alice\", \"bob\"]");
}

#[test]
fn hashes_that_are_malformed_or_cost_too_much_are_refused() {
    let good = cheap("x");
    assert!(password::parse(&good).is_ok());
    for (bad, what) in [
        ("", "PHC"),
        ("hunter2", "PHC"),
        ("$argon2id", "version 19"),
        ("$argon2id$v=19$m=8,t=1,p=1", "lacks its salt"),
        ("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ", "lacks its salt"),
        ("$2b$12$abcdefghijklmnopqrstuv", "PHC"),
        (&good.replace("argon2id", "argon2i"), "not an Argon2id"),
        (&good.replace("v=19", "v=16"), "version 19"),
        (&good.replace("m=8", "m=4194304"), "costs too much"),
        (&good.replace("t=1", "t=1000000"), "costs too much"),
        (
            &good.replace("m=8,t=1,p=1", "m=4096,t=1,p=64"),
            "costs too much",
        ),
        (&good.replace("m=8", "m=1"), "parameters"),
        (&good.replace("p=1", "p=1,x=1"), "parameters"),
    ] {
        let error = password::parse(bad).unwrap_err();
        assert!(error.contains(what), "{bad}: {error}");
    }
}

#[test]
fn passwords_are_hashed_with_owasp_parameters_and_have_bounds() {
    let hash = hash_password(&secret("wonderland")).unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    let parsed = password::parse(&hash).unwrap();
    assert!(password::verify(&secret("wonderland"), &parsed));
    for wrong in ["", "wonderlan", "wonderlandx", "Wonderland", "wonderland\0"] {
        assert!(!password::verify(&secret(wrong), &parsed), "{wrong:?}");
    }
    assert_ne!(hash_password(&secret("wonderland")).unwrap(), hash);
    assert!(matches!(
        hash_password(&secret("")),
        Err(IdentityError::PasswordEmpty)
    ));
    let longest = "x".repeat(PASSWORD_BYTES_MAX);
    assert!(password::verify(
        &secret(&longest),
        &password::parse(&cheap(&longest)).unwrap()
    ));
    let too_long = secret(&format!("{longest}x"));
    assert!(matches!(
        hash_password(&too_long),
        Err(IdentityError::PasswordTooLong)
    ));
}

fn new_account(id: &str) -> NewAccount {
    NewAccount {
        id: id.to_owned(),
        org: "St. Mary's \"North\" #1".to_owned(),
        groups: vec!["analyst".to_owned(), "true".to_owned(), "a, b".to_owned()],
        roles: vec![],
        kind: PrincipalKind::Service,
        acr: None,
        on_behalf_of: Some("12".to_owned()),
        attributes: [
            ("clearance", Value::Int64(-3)),
            ("trusted", Value::Bool(false)),
            ("weight", Value::Float64(1e300)),
            ("since", Value::Timestamp(at(0))),
            (
                "region",
                Value::Text("tab\tand \\ and \u{85} and é".to_owned()),
            ),
            (
                "wards",
                Value::TextList(vec!["null".to_owned(), String::new()]),
            ),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect(),
        password_hash: cheap("x"),
    }
}

#[test]
fn an_account_is_added_and_what_was_there_stays() {
    let hash = cheap("y");
    let old = format!("{{id: old, org: o, password_hash: '{hash}'}}");
    for before in [
        String::new(),
        "# ours\n".to_owned(),
        "accounts:".to_owned(),
        "accounts: # none yet\n".to_owned(),
        "accounts: []\n".to_owned(),
        "accounts: [] # none\n# end\n".to_owned(),
        format!("accounts: [{old}]\n"),
        format!("accounts:\n  - {old}\n"),
        format!("accounts:\n  - {old} # é\n  # the last one\n\n"),
        format!("accounts:\n- {old}"),
        format!(
            "# é\naccounts:\n\n    # first\n    -\n      id: old\n      org: o\n      password_hash: '{hash}'\n"
        ),
    ] {
        let file = SourceFile::new("accounts.yaml", before.as_str());
        let added = append_account(&file, &types(), &new_account("new"))
            .unwrap_or_else(|error| panic!("{before:?}: {error}"));
        let accounts = parse(&added).unwrap();
        let expected = if before.contains("old") {
            vec!["new", "old"]
        } else {
            vec!["new"]
        };
        assert_eq!(accounts.ids().collect::<Vec<_>>(), expected, "{added}");
        let (account, new) = (accounts.get("new").unwrap(), new_account("new"));
        assert_eq!(account.attributes, new.attributes);
        assert_eq!((&account.org, &account.groups), (&new.org, &new.groups));
        assert_eq!(account.on_behalf_of, new.on_behalf_of);
        // Taking out what came in gives what was there.
        let kept: String = before.chars().filter(|c| !c.is_whitespace()).collect();
        let mut rest = added.chars().filter(|c| !c.is_whitespace());
        assert!(kept.chars().all(|c| rest.any(|r| r == c)), "{added}");
        assert!(
            before
                .lines()
                .filter(|l| l.contains('#'))
                .all(|comment| { added.contains(comment.split_at(comment.find('#').unwrap()).1) })
        );
        // And once more, onto what we wrote.
        let file = SourceFile::new("accounts.yaml", added);
        let twice = append_account(&file, &types(), &new_account("newer")).unwrap();
        assert_eq!(parse(&twice).unwrap().ids().count(), expected.len() + 1);
        let again = append_account(&file, &types(), &new_account("new"));
        assert!(matches!(again, Err(AppendError::Exists(id)) if id == "new"));
    }
}

#[test]
fn what_cannot_be_added_safely_is_not_added() {
    let add = |text: &str, account: &NewAccount| {
        append_account(&SourceFile::new("accounts.yaml", text), &types(), account).unwrap_err()
    };
    let new = new_account("new");
    assert!(matches!(add("acounts: []\n", &new), AppendError::File(_)));
    let ended = format!(
        "accounts:\n  - {{id: a, org: o, password_hash: '{}'}}\n...\n",
        cheap("x")
    );
    let error = add(&ended, &new);
    assert!(
        matches!(&error, AppendError::Layout(line) if line.contains("id: new")),
        "{error}"
    );
    let bad = NewAccount {
        id: "a:b".to_owned(),
        ..new_account("x")
    };
    assert!(matches!(add("", &bad), AppendError::Account(_)));
    let bad = NewAccount {
        password_hash: "hunter2".to_owned(),
        ..new_account("x")
    };
    let error = add("", &bad).to_string();
    assert!(!error.contains("hunter2"), "{error}");
    let mut bad = new_account("x");
    bad.attributes.insert("other".to_owned(), Value::Bool(true));
    assert!(add("", &bad).to_string().contains("not declared"));
}
