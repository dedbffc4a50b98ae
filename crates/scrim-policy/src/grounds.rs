//! What a decision rests on, by value: it is made from that and sees nothing else, so that wherever
//! the same is known again it is the same decision.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use scrim_model::{Release, SessionSettings, TableName, Value};

use crate::condition::Condition;
use crate::facts::Facts;
use crate::set::{Agreement, CompiledGuard, Governed, RowRule};
use crate::{Decision, PolicySet, decide};

/// What the decision about one table for one request rests on: of all that is known of a principal
/// and its request, only what the table's agreements with the organisation, and its guards, ask.
pub struct Grounds<'a> {
    pub(crate) set: &'a PolicySet,
    pub(crate) table: &'a TableName,
    pub(crate) governed: Option<&'a Governed>,
    pub(crate) organisation: &'a str,
    pub(crate) settings: &'a SessionSettings,
    /// The day on which the dates of agreements are judged.
    pub(crate) today: NaiveDate,
    revoked: Vec<(&'a str, DateTime<Utc>)>,
    judged: Vec<Member<'a>>,
    bound: Vec<Member<'a>>,
}

type Member<'a> = (&'a str, Option<Value>);

impl fmt::Debug for Grounds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grounds({} for {})", self.table, self.organisation)
    }
}

/// The members that decisions about one table for one organisation ask about.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// By `who` and `when`.
    judged: BTreeSet<String>,
    /// By row filters.
    bound: BTreeSet<String>,
}

impl Asked {
    pub(crate) fn agreement(&mut self, agreement: &Agreement) {
        self.condition(&agreement.who);
        agreement.when.iter().for_each(|when| self.condition(when));
        agreement.rows.iter().for_each(|rows| self.rule(rows));
    }

    pub(crate) fn guard(&mut self, guard: &CompiledGuard) {
        guard.when.iter().for_each(|when| self.condition(when));
        guard.rows.iter().for_each(|rows| self.rule(rows));
    }

    fn condition(&mut self, condition: &Condition) {
        self.judged.extend(condition.members().map(str::to_owned));
    }

    fn rule(&mut self, rule: &RowRule) {
        let members = rule.members.iter().map(|(name, _)| name);
        self.bound.extend(members.cloned());
    }
}

impl<'a> Grounds<'a> {
    pub(crate) fn new(set: &'a PolicySet, facts: &Facts<'a>, table: &'a TableName) -> Self {
        let organisation = facts.principal.org.as_str();
        let governed = set.governed(table);
        let consumer = governed.and_then(|governed| governed.consumer(organisation));
        let agreements = governed
            .into_iter()
            .flat_map(|governed| governed.agreements_of(organisation));
        let revoked = &facts.context.revoked;
        let asked = consumer.map(|consumer| &consumer.asked);
        let judged = asked.into_iter().flat_map(|asked| &asked.judged);
        let bound = asked.into_iter().flat_map(|asked| &asked.bound);
        Self {
            set,
            table,
            governed,
            organisation,
            settings: facts.settings,
            today: facts.now.date_naive(),
            revoked: if revoked.is_empty() {
                Vec::new()
            } else {
                let since = agreements.map(|one| (one.id.as_str(), revoked.get(&one.id)));
                since.filter_map(|(id, at)| Some((id, *at?))).collect()
            },
            judged: judged
                .map(|name| (name.as_str(), facts.value(name)))
                .collect(),
            bound: bound
                .map(|name| (name.as_str(), facts.bound_value(name)))
                .collect(),
        }
    }

    /// Decides: pure and total, and no unless something says yes.
    pub fn decide(&self) -> Decision {
        decide::decide(self)
    }

    /// Since when an agreement is revoked.
    pub(crate) fn revoked(&self, agreement: &str) -> Option<DateTime<Utc>> {
        let mut revoked = self.revoked.iter();
        revoked
            .find(|(id, _)| *id == agreement)
            .map(|(_, since)| *since)
    }

    /// The value of a member for `who` and `when`; `None` when it is not known.
    pub(crate) fn value(&self, member: &str) -> Option<&Value> {
        find(&self.judged, member)
    }

    /// The value of a member as a row filter holds it.
    pub(crate) fn bound_value(&self, member: &str) -> Option<&Value> {
        find(&self.bound, member)
    }

    /// What tells these grounds from all others in the same policy set; `None` where the
    /// organisation has no agreement, since then there is nothing to decide.
    pub fn key(&self) -> Option<GroundsKey> {
        // Taken apart, so that nothing that is added to either can be forgotten here.
        let Self {
            set: _,
            table,
            governed,
            organisation,
            settings,
            today,
            revoked,
            judged,
            bound,
        } = self;
        let SessionSettings {
            purpose,
            agreement,
            release,
        } = settings;
        (*governed)?.consumer(organisation)?;
        let mut key = GroundsKey(Vec::with_capacity(256));
        key.text(&table.schema);
        key.text(&table.table);
        key.text(organisation);
        key.number(today.num_days_from_ce().into());
        key.optional(purpose.as_deref());
        key.optional(agreement.as_deref());
        key.tag(match release {
            None => 0,
            Some(Release::Rows) => 1,
            Some(Release::Aggregates) => 2,
            Some(Release::Private) => 3,
        });
        key.count(revoked.len());
        for (agreement, since) in revoked {
            key.text(agreement);
            key.instant(*since);
        }
        // Which members these are follows from the table and the organisation.
        for (_, value) in judged.iter().chain(bound) {
            key.value(value.as_ref());
        }
        Some(key)
    }
}

fn find<'m>(members: &'m [Member<'_>], name: &str) -> Option<&'m Value> {
    let mut members = members.iter();
    members.find(|(known, _)| *known == name)?.1.as_ref()
}

/// What tells the grounds of one decision from those of any other in the same policy set: all that
/// it rests on, as bytes, so that equal keys mean the same decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroundsKey(Vec<u8>);

impl GroundsKey {
    fn tag(&mut self, tag: u8) {
        self.0.push(tag);
    }

    fn number(&mut self, number: i64) {
        self.0.extend(number.to_le_bytes());
    }

    fn count(&mut self, count: usize) {
        self.0.extend((count as u64).to_le_bytes());
    }

    /// With its length in front, so that no two lists of texts are the same bytes.
    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.tag(u8::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    fn instant(&mut self, at: DateTime<Utc>) {
        self.number(at.timestamp());
        self.number(at.timestamp_subsec_nanos().into());
    }

    fn value(&mut self, value: Option<&Value>) {
        match value {
            None => self.tag(0),
            Some(Value::Bool(value)) => {
                self.tag(1);
                self.tag(u8::from(*value));
            }
            Some(Value::Int64(value)) => {
                self.tag(2);
                self.number(*value);
            }
            Some(Value::Float64(value)) => {
                self.tag(3);
                self.0.extend(value.to_bits().to_le_bytes());
            }
            Some(Value::Timestamp(value)) => {
                self.tag(4);
                self.instant(*value);
            }
            Some(Value::Text(value)) => {
                self.tag(5);
                self.text(value);
            }
            Some(Value::TextList(values)) => {
                self.tag(6);
                self.count(values.len());
                for value in values {
                    self.text(value);
                }
            }
        }
    }
}

#[cfg(test)]
impl<'a> Grounds<'a> {
    /// The same with every member of a request, whether it is asked about or not.
    pub(crate) fn knowing(mut self, facts: &Facts<'a>, members: &'a [String]) -> Self {
        let known = |value: &dyn Fn(&str) -> Option<Value>| {
            let members = members.iter();
            members.map(|name| (name.as_str(), value(name))).collect()
        };
        self.judged = known(&|name| facts.value(name));
        self.bound = known(&|name| facts.bound_value(name));
        let revoked = facts.context.revoked.iter();
        self.revoked = revoked.map(|(id, since)| (id.as_str(), *since)).collect();
        self
    }
}
