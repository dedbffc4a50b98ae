//! What a record holds.

use scrim_model::Refusal;

use super::asked;
use crate::kit::{Local, Scratch};

/// What a record says about columns: those that the result is made of, and those that choose, join,
/// group or sort its rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_names_the_columns_that_a_statement_uses() {
    let questions = [
        ("SELECT count(*) FROM patients", ""),
        (
            "SELECT ward FROM (SELECT * FROM patients) p WHERE sex = 'f'",
            "sex ward",
        ),
        (
            "SELECT w FROM (SELECT ward AS w, zip, sex AS s FROM patients) p ORDER BY s",
            "sex ward",
        ),
        (
            "WITH p AS (SELECT * FROM patients) SELECT region FROM p",
            "region",
        ),
        (
            "SELECT region, count(ward) FROM patients GROUP BY region HAVING max(zip) > '1'",
            "region ward zip",
        ),
        (
            "SELECT n FROM (SELECT region, count(*) AS n, min(zip) AS z FROM patients GROUP BY 1) g",
            "region",
        ),
        (
            "SELECT a.zip FROM patients a JOIN patients b ON a.patient_id = b.patient_id WHERE b.sex = 'f'",
            "patient_id sex zip",
        ),
        (
            "SELECT zip FROM patients p WHERE EXISTS (SELECT * FROM patients q WHERE q.ward = p.region)",
            "region ward zip",
        ),
        (
            "SELECT zip FROM patients WHERE ward IN (SELECT region FROM patients)",
            "region ward zip",
        ),
        (
            "SELECT (SELECT max(sex) FROM patients q WHERE q.ward = p.region) FROM patients p",
            "region sex ward",
        ),
        (
            "SELECT ward FROM patients UNION ALL SELECT region FROM patients",
            "region ward",
        ),
        (
            "SELECT r FROM (SELECT ward, zip AS r FROM patients UNION ALL SELECT sex, region FROM patients) u",
            "region zip",
        ),
        (
            "SELECT rank() OVER (PARTITION BY ward ORDER BY zip) FROM patients",
            "ward zip",
        ),
        (
            "SELECT sex FROM (SELECT sex, rank() OVER (ORDER BY zip) AS r FROM patients) w",
            "sex",
        ),
        (
            "SELECT t FROM (SELECT zip, unnest(tags) AS t FROM patients) u",
            "tags",
        ),
        ("SELECT contact['email'] FROM patients LIMIT 1", "contact"),
        ("SELECT DISTINCT ward, zip FROM patients", "ward zip"),
        (
            "SELECT p.zip FROM patients p, LATERAL (SELECT count(*) AS n FROM patients q WHERE q.ward = p.region) x",
            "region ward zip",
        ),
        (
            "SELECT zip FROM patients p WHERE EXISTS (SELECT 1 FROM patients q WHERE q.sex = 'f' AND EXISTS (SELECT 1 FROM patients r WHERE r.ward = p.region))",
            "region sex ward zip",
        ),
        (
            "SELECT zip FROM patients UNION SELECT ward FROM patients",
            "ward zip",
        ),
        (
            "SELECT region, count(*) FROM patients GROUP BY GROUPING SETS ((region), (ward))",
            "region ward",
        ),
        (
            "SELECT DISTINCT ON (region) zip FROM patients ORDER BY region, ward",
            "region ward zip",
        ),
        (
            "SELECT zip FROM patients QUALIFY row_number() OVER (ORDER BY ward) = 1",
            "ward zip",
        ),
        (
            "SELECT a.zip FROM patients a LEFT JOIN (SELECT ward, sex FROM patients) b USING (ward)",
            "ward zip",
        ),
        ("EXPLAIN SELECT ward FROM patients", "ward"),
    ];
    let asked_of: Vec<_> = questions.iter().map(|(sql, _)| ("rhea", *sql)).collect();
    let (_world, records) = asked(&asked_of).await;
    for ((sql, columns), record) in questions.iter().zip(&records) {
        assert_eq!(record.uses.len(), 1, "{sql}: {record:?}");
        let mut used = record.uses[0]
            .used
            .clone()
            .unwrap_or_else(|| panic!("{sql}: {record:?}"));
        used.sort();
        assert_eq!(used.join(" "), *columns, "{sql}");
    }
}

/// What a record holds is enough to decide a query again, whoever asks and however it ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_02_a_record_holds_what_it_takes_to_decide_again() -> Result<(), Refusal> {
    let world = Scratch::demo();
    let local = Local::start(&world).await;
    let mut asks = Vec::new();
    for persona in scrim::demo::world::PERSONAS {
        for address in ["127.0.0.1", "203.0.113.9"] {
            let mut ask = local.usual(persona.id);
            local.place(&mut ask, address);
            ask.context.client = Some("test".to_owned());
            ask.context.time = "2026-03-02T22:30:00.123456789Z".parse().unwrap();
            ask.default_schema = Some("care".to_owned());
            asks.push(ask);
        }
    }
    for ask in &asks {
        for sql in [
            "SELECT count(*) FROM visits",
            "SELECT 1 FROM patients, insurance.claims",
        ] {
            drop(local.rows(ask, sql, None).await);
        }
    }
    local.ledger.shutdown().await.unwrap();
    let records = world.records();
    assert_eq!(records.len(), asks.len() * 2);
    let mut decided = 0;
    for record in records {
        let facts = record.facts.as_ref().unwrap();
        assert_eq!(facts.default_schema.as_deref(), Some("care"));
        assert!(!record.uses.is_empty(), "{record:?}");
        for reading in record.readings().unwrap() {
            let recorded = &*reading.decision;
            let again = local.policy.decide(
                &facts.principal,
                &facts.context,
                &facts.settings,
                &recorded.table,
            );
            assert_eq!(again, *recorded, "{}", record.query);
            decided += 1;
        }
    }
    assert_eq!(decided, asks.len() * 3);
    Ok(())
}
