//! One query as the ledger has it: who asked what, when and from where, what was decided and why,
//! how it ended, and whether the same is decided again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::SecondsFormat;
use scrim_document::Location;
use scrim_ledger::{Damage, Facts, Outcome, Reading, Record};
use scrim_model::{Context, Principal, PrincipalKind, Release, SessionSettings};
use scrim_policy::{Decision, Verdict};
use serde_json::{Value as Json, json};

use super::count;
use super::sets::{Kept, Then, as_json};
use crate::explain::{self, Page, value_text};
use crate::render::text::printable;

/// The names at the left of what is known about a query.
const NAMES: usize = 10;

/// A query with its decisions, and the policy set that made them, if it is there.
#[derive(Debug)]
pub(crate) struct Told {
    record: Record,
    readings: Vec<Reading>,
    kept: Kept,
}

/// Whether a decision was made again as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Same,
    Other,
    /// The table's source is not there now.
    SourceAway,
    /// There is no policy set, or the record does not say what the decision was made from.
    Unable,
}

impl Told {
    pub(crate) fn new(record: Record, kept: Kept) -> Result<Self, Damage> {
        Ok(Self {
            readings: record.readings()?,
            record,
            kept,
        })
    }

    fn again(&self, decision: &Decision) -> Again {
        let (Ok(then), Some(facts)) = (&self.kept, &self.record.facts) else {
            return Again::Unable;
        };
        let again = then.decide(facts, &decision.table);
        if again.narrowed_like(decision).hash == decision.hash {
            Again::Same
        } else if then.left_out(&decision.table) {
            Again::SourceAway
        } else {
            Again::Other
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut page = Page::default();
        self.head(&mut page);
        let mut text = page.into_text();
        let principal = self.principal();
        for reading in &self.readings {
            let table = self.kept.as_ref().ok();
            let table = table.and_then(|then| then.local.policy.table(&reading.decision.table));
            text.push('\n');
            text.push_str(&explain::decision(&reading.decision, table, &principal));
            let mut page = Page::default();
            more(reading, &mut page);
            if let Ok(then) = &self.kept {
                written(&reading.decision, then, &mut page);
            }
            text.push_str(&page.into_text());
        }
        text
    }

    fn head(&self, page: &mut Page) {
        let record = &self.record;
        let of = record.statement.map_or_else(String::new, |statement| {
            format!(", a run of the statement {statement}")
        });
        page.line(0, &format!("Query {}{of}", record.query));
        page.fact("asked", NAMES, &asked(record));
        if let Some(facts) = &record.facts {
            page.fact("known", NAMES, &known(facts));
        }
        page.fact("for", NAMES, &settings(record));
        page.fact("statement", NAMES, &printable(&record.sql));
        page.fact("policies", NAMES, &self.policies());
        page.fact("outcome", NAMES, &outcome(record));
        if self.readings.is_empty() {
            page.fact("tables", NAMES, "none was decided");
        } else {
            page.fact("reproduced", NAMES, &self.reproduced());
        }
    }

    fn policies(&self) -> String {
        let Some(version) = &self.record.policy_version else {
            return "not recorded".to_owned();
        };
        match &self.kept {
            Ok(then) => format!("version {version}, {}", then.found.as_str()),
            Err(why) => format!("version {version}: {why}"),
        }
    }

    fn reproduced(&self) -> String {
        if self.kept.is_err() {
            return "no: there is no policy set to decide it again with".to_owned();
        }
        if self.record.facts.is_none() {
            return "no: an older version wrote the record, without what it was decided from"
                .to_owned();
        }
        let mut said = Vec::new();
        for Reading { decision, .. } in &self.readings {
            let name = format!("{}.{}", decision.table.schema, decision.table.table);
            match self.again(decision) {
                Again::Same => {}
                Again::SourceAway => said.push(format!("the source of {name} is not there now")),
                Again::Other | Again::Unable => said.push(format!(
                    "{name} is decided otherwise now, from the same policies and facts: its \
                     source has other columns than then, something else narrowed it, or another \
                     version of scrim decided it"
                )),
            }
        }
        if said.is_empty() {
            "yes: the same is decided again from the recorded facts".to_owned()
        } else {
            format!("no: {}", said.join("; "))
        }
    }

    /// Who asked, as far as the record says.
    fn principal(&self) -> Principal {
        match &self.record.facts {
            Some(facts) => facts.principal.clone(),
            None => Principal {
                id: self.record.principal.clone(),
                org: self.record.org.clone(),
                groups: Vec::new(),
                roles: Vec::new(),
                kind: PrincipalKind::default(),
                acr: None,
                authenticated_at: None,
                on_behalf_of: None,
                attributes: BTreeMap::new(),
            },
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Json {
        let tables: Vec<Json> = self
            .readings
            .iter()
            .map(|reading| {
                let lines: Vec<Json> = match &self.kept {
                    Ok(then) => places(&reading.decision)
                        .into_iter()
                        .filter_map(|(file, line)| {
                            let text = then.line(&file, line)?;
                            Some(json!({"file": file, "line": line, "text": text}))
                        })
                        .collect(),
                    Err(_) => Vec::new(),
                };
                json!({
                    "decision": *reading.decision,
                    "unmatched_more": reading.unmatched_more,
                    "used": reading.used,
                    "reproduced": match self.again(&reading.decision) {
                        Again::Same => Some(true),
                        Again::Other => Some(false),
                        Again::SourceAway | Again::Unable => None,
                    },
                    "lines": lines,
                })
            })
            .collect();
        json!({
            "record": self.record,
            "policies": as_json(&self.kept),
            "tables": tables,
        })
    }
}

fn asked(record: &Record) -> String {
    let at = record.at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut said = vec![format!("{at} by {} ({})", record.principal, record.org)];
    said.extend(record.address.map(|address| format!(" from {address}")));
    let client = record.client.as_ref();
    said.extend(client.map(|client| format!(" with {client}")));
    let session = record.session.as_ref();
    said.extend(session.map(|session| format!(", session {session}")));
    said.concat()
}

/// What was known about who asked and in what circumstances.
fn known(facts: &Facts) -> String {
    let Principal {
        id: _,
        org: _,
        groups,
        roles,
        kind,
        acr,
        authenticated_at,
        on_behalf_of,
        attributes,
    } = &facts.principal;
    let Context {
        ip: _,
        country,
        networks,
        device,
        device_trusted,
        time,
        risk,
        queries_last_hour,
        rows_last_day,
        client: _,
        revoked,
    } = &facts.context;
    let mut said = vec![kind.as_str().to_owned()];
    let mut list = |name: &str, values: &[String]| {
        if !values.is_empty() {
            said.push(format!("{name} {}", values.join(", ")));
        }
    };
    list("groups", groups);
    list("roles", roles);
    list("networks", networks);
    let revoked: Vec<_> = revoked.keys().cloned().collect();
    list("revoked agreements", &revoked);
    let mut fact = |name: &str, value: Option<String>| {
        said.extend(value.map(|value| format!("{name} {value}")));
    };
    fact("on behalf of", on_behalf_of.clone());
    fact("acr", acr.clone());
    let instant =
        |at: &chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    fact("signed in at", authenticated_at.as_ref().map(instant));
    fact("country", country.clone());
    fact("device", device.clone());
    fact("device trusted", device_trusted.map(|it| it.to_string()));
    fact("risk", risk.map(|it| it.to_string()));
    fact(
        "queries in the last hour:",
        queries_last_hour.map(|it| it.to_string()),
    );
    fact(
        "rows in the last day:",
        rows_last_day.map(|it| it.to_string()),
    );
    fact("default schema", facts.default_schema.clone());
    fact("time zone", facts.time_zone.clone());
    fact("decided at", Some(instant(time)));
    for (name, value) in attributes {
        said.push(format!("{name} = {}", value_text(value)));
    }
    said.join("; ")
}

fn settings(record: &Record) -> String {
    let mut said = vec![match &record.purpose {
        Some(purpose) => purpose.clone(),
        None => "no stated purpose".to_owned(),
    }];
    if let Some(SessionSettings {
        purpose: _,
        agreement,
        release,
    }) = record.facts.as_ref().map(|facts| &facts.settings)
    {
        if let Some(agreement) = agreement {
            said.push(format!("under {agreement} only"));
        }
        if let Some(release) = release {
            let word = match release {
                Release::Rows => "rows",
                Release::Aggregates => "aggregates",
                Release::Private => "private",
            };
            said.push(format!("release {word}"));
        }
    }
    said.join(", ")
}

fn outcome(record: &Record) -> String {
    let mut said = vec![record.outcome.to_string()];
    said.extend(record.code.as_ref().map(|code| format!(" with {code}")));
    let took = record
        .closed
        .map(|closed| (closed - record.at).num_milliseconds());
    said.extend(took.map(|took| format!(" after {took} ms")));
    said.extend(
        record
            .rows
            .map(|rows| format!(", {}", count(rows, "row", "rows"))),
    );
    said.extend(
        record
            .bytes
            .map(|bytes| format!(", {}", count(bytes, "byte", "bytes"))),
    );
    if record.outcome == Outcome::Open {
        said.push(": it is running, or the server was killed".to_owned());
    }
    let reason = record.reason.as_ref();
    said.extend(reason.map(|reason| format!(": {reason}")));
    said.concat()
}

/// What the record tells of a table beside the decision.
fn more(reading: &Reading, page: &mut Page) {
    if reading.unmatched_more > 0 {
        let more = format!(
            "and {} more agreements that did not match",
            reading.unmatched_more
        );
        page.line(4, &more);
    }
    let shown = reading.decision.verdict == Verdict::Shown;
    if let Some(used) = reading.used.as_ref().filter(|_| shown) {
        page.heading("Columns that the statement uses");
        match used.as_slice() {
            [] => page.line(4, "none: it only counts rows"),
            names => page.line(4, &names.join(", ")),
        }
    }
    page.heading("Hash of the decision");
    page.line(4, &reading.decision.hash);
}

/// The lines that the decision names, as they stood in the files of then.
fn written(decision: &Decision, then: &Then, page: &mut Page) {
    let mut file_before = String::new();
    for (file, line) in places(decision) {
        let Some(text) = then.line(&file, line) else {
            continue;
        };
        if file != file_before {
            page.heading(&format!("As it was written in {file}"));
            file_before.clone_from(&file);
        }
        page.verbatim(4, &format!("{line:>4}  {}", text.trim_end()));
    }
}

/// Every line that a decision names for what it says, by file.
fn places(decision: &Decision) -> BTreeSet<(String, u32)> {
    let mut places = BTreeSet::new();
    let mut add = |at: &Location| {
        places.insert((at.file.to_string(), at.line));
    };
    if let Verdict::Closed { location, .. } = &decision.verdict {
        add(location);
    }
    for arm in &decision.arms {
        add(&arm.profile_location);
        if let Some(rows) = &arm.rows {
            add(&rows.location);
        }
    }
    for guard in &decision.guards {
        add(&guard.location);
        if let Some(rows) = &guard.rows {
            add(&rows.location);
        }
    }
    for column in &decision.columns {
        column.location.iter().for_each(&mut add);
    }
    for unmatched in &decision.unmatched {
        add(&unmatched.location);
    }
    places
}
