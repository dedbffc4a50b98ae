//! One statement over several sources: a table in a database, one in an object store and one on this
//! machine, each under a contract and an agreement of its own.

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use scrim_model::{Code, Refusal};
use scrim_testkit::proxy::Fault;
use scrim_testkit::web::{Gate, Trouble};

use crate::elsewhere::{Base, Store, batches, texts};
use crate::faults::with_long_table;
use crate::kit::{Local, Scratch};

/// Claims and the look-up table in the database, patients in the store, visits on this machine.
struct Federated {
    local: Local,
    _store: Store,
    _base: Base,
    _world: Scratch,
}

impl Federated {
    async fn start() -> Self {
        let world = Scratch::demo();
        let (store, base) = (Store::new(&world), Base::new(&world));
        store.take(&world, "patients");
        base.take(&world, "claims");
        base.take_entitlements(&world);
        Self {
            local: Local::start(&world).await,
            _store: store,
            _base: base,
            _world: world,
        }
    }
}

async fn answer(local: &Local, id: &str, purpose: &str, sql: &str) -> Result<String, Refusal> {
    let ask = local.ask(id, Some(purpose));
    let (_, batches): (_, Vec<RecordBatch>) = local.rows(&ask, sql, None).await?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

/// Statements over two and three of the tables, in which every kind of rule has a part: row rules
/// with and without a look-up, masks, hidden columns.
const STATEMENTS: &[&str] = &[
    "SELECT p.region, p.n AS people, v.n AS visits, v.wards, c.amount
     FROM (SELECT region, count(zip) AS n FROM care.patients GROUP BY region) AS p
     JOIN (SELECT region, count(*) AS n, count(DISTINCT ward) AS wards
           FROM care.visits GROUP BY region) AS v ON v.region = p.region
     LEFT JOIN (SELECT region, sum(amount) AS amount FROM insurance.claims GROUP BY region) AS c
          ON c.region = p.region
     ORDER BY p.region",
    "SELECT c.status, count(*) AS n, max(v.cost) AS cost, max(v.icd10) AS icd10
     FROM insurance.claims c
     FULL JOIN care.visits v ON v.region = c.region AND v.icd10 = c.icd10
          AND v.admitted_at::DATE = c.service_date
     GROUP BY c.status ORDER BY c.status",
    "SELECT zip FROM care.patients
     WHERE region IN (SELECT region FROM insurance.claims WHERE amount > 100)
     UNION SELECT icd10 FROM care.visits
     WHERE region NOT IN (SELECT region FROM insurance.claims WHERE region IS NOT NULL)
     ORDER BY 1",
    "SELECT region, rank() OVER (ORDER BY n, region) AS place FROM (
       SELECT p.region, count(*) AS n FROM care.patients p
       WHERE EXISTS (SELECT 1 FROM care.visits v WHERE v.region = p.region)
         AND p.region IN (SELECT region FROM insurance.claims)
       GROUP BY p.region) AS r ORDER BY place",
    "SELECT claim_id FROM insurance.claims ORDER BY claim_id DESC LIMIT 7",
    "SELECT holder_email, policy_number, fraud_score FROM insurance.claims ORDER BY 1, 2, 3",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_06_every_rule_holds_wherever_its_table_lies() {
    let here = Local::demo().await;
    let there = Federated::start().await;
    let (mut answered, mut refused) = (0, 0);
    for sql in STATEMENTS {
        for (id, purpose) in [
            ("nora", "operations"),
            ("ivan", "operations"),
            ("ivan", "fraud-analytics"),
            ("rolf", "research"),
            ("rhea", "research"),
            ("luca", "research"),
        ] {
            let expected = answer(&here, id, purpose, sql).await;
            let found = answer(&there.local, id, purpose, sql).await;
            let what = format!("{id} for {purpose}: {sql}");
            match (expected, found) {
                (Ok(expected), Ok(found)) => {
                    assert_eq!(found, expected, "{what}");
                    answered += 1;
                }
                (Err(expected), Err(found)) => {
                    let (code, message) = (expected.code(), expected.message());
                    assert_eq!((found.code(), found.message()), (code, message), "{what}");
                    refused += 1;
                }
                (expected, found) => panic!("{what}\n{expected:?}\n{found:?}"),
            }
        }
    }
    println!("{answered} answered, {refused} refused");
    assert!(answered >= 12, "{answered} answered, {refused} refused");
    assert!(refused >= 4, "{answered} answered, {refused} refused");
}

/// A scan that waits for its source does not keep the others from being read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_are_read_side_by_side() {
    let world = Scratch::demo();
    world.add_table("ids", &[texts("id\n1\n2")]);
    let store = Store::new(&world);
    store.take(&world, "patients");
    store.take(&world, "visits");
    let base = Base::new(&world);
    base.take(&world, "ids");
    let local = Local::start(&world).await;
    // The database is silent until the store was asked for all its files, and none of the files comes
    // before.
    let gates: Vec<Gate> = ["/patients/", "/visits/part-0", "/visits/part-1"]
        .into_iter()
        .map(|part| {
            let gate = Gate::closed();
            let hold = Trouble::Hold(gate.clone());
            store.server.traffic().trouble(part, 0, 1, hold);
            gate
        })
        .collect();
    base.proxy.set(Fault::Stall(0));
    let sql = "SELECT 'i' AS k, count(id) AS n FROM care.ids
               UNION ALL SELECT 'p', count(zip) FROM care.patients
               UNION ALL SELECT 'v', count(notes) FROM care.visits ORDER BY k";
    let (found, ()) = tokio::join!(answer(&local, "nora", "operations", sql), async {
        for gate in &gates {
            gate.reached().await;
        }
        base.proxy.heal();
        for gate in &gates {
            gate.open();
        }
    });
    let expected = [
        "SELECT 'i' AS k, 2 AS n",
        "UNION ALL SELECT 'p', count(zip) FROM care.patients",
        "UNION ALL SELECT 'v', count(notes) FROM care.visits ORDER BY k",
    ];
    let here = Local::demo().await;
    let expected = answer(&here, "nora", "operations", &expected.join(" ")).await;
    assert_eq!(found.unwrap(), expected.unwrap());
}

/// What does not fit into the engine's memory is spilled or refused, wherever it came from.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_14_tables_of_several_sources_share_one_bounded_memory() {
    let world = with_long_table();
    let copies = with_long_table();
    let (store, base) = (Store::new(&world), Base::new(&world));
    base.take(&world, "long");
    world.add_table("wide", &batches(&copies, "long"));
    store.take(&world, "wide");
    let local = Local::start_with(&world, |config| config.memory_bytes = 80 << 20).await;
    let nora = local.usual("nora");
    let both = "(SELECT text FROM care.long UNION ALL SELECT text FROM care.wide)";
    let ask = async |sql: &str| -> Result<String, Refusal> {
        let (_, batches) = local.rows(&nora, sql, None).await?;
        Ok(pretty_format_batches(&batches).unwrap().to_string())
    };
    let sorted = format!(
        "SELECT max(n) AS n FROM (SELECT row_number() OVER (ORDER BY text) AS n FROM {both} AS t)"
    );
    let text = ask(&sorted).await.unwrap();
    assert!(text.contains("983040"), "{text}");
    let joined =
        format!("SELECT count(*) AS n FROM {both} AS a JOIN {both} AS b ON a.text = b.text");
    let refusal = ask(&joined).await.unwrap_err();
    assert_eq!(refusal.code(), Code::MemoryLimit, "{refusal}");
    let text = ask("SELECT count(*) AS n FROM care.long").await.unwrap();
    assert!(text.contains("491520"), "{text}");
}
