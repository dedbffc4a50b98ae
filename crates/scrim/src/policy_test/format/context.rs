//! The circumstances of a request, as a test file says them.

use std::net::IpAddr;

use chrono::{DateTime, Timelike, Utc};
use scrim_document::{MapReader, Node, Problems};
use scrim_model::Context;

use super::Placed;
use crate::policy_test::shapes::CONTEXT;

/// What is said about the circumstances in one place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Circumstances {
    ip: Option<IpAddr>,
    network: Option<Placed<String>>,
    country: Option<String>,
    device: Option<String>,
    device_trusted: Option<bool>,
    time: Option<DateTime<Utc>>,
    hour: Option<u32>,
    risk: Option<i64>,
    queries_last_hour: Option<i64>,
    rows_last_day: Option<i64>,
    client: Option<String>,
}

/// The circumstances of a case: complete but for the names of networks, and the address of one that
/// is only named.
#[derive(Debug, Clone)]
pub(crate) struct Situation {
    /// What is known.
    pub(crate) context: Context,
    /// The named network that the request comes from; an address in it has to be found.
    pub(crate) network: Option<Placed<String>>,
}

impl Situation {
    /// A time of which nothing else is known.
    pub(crate) fn at(time: DateTime<Utc>) -> Self {
        Self {
            context: Context::at(time),
            network: None,
        }
    }
}

impl Circumstances {
    /// Puts what is said here in the place of what was said before.
    pub(crate) fn apply(&self, to: &mut Situation) {
        fn set<T: Clone>(to: &mut Option<T>, from: Option<&T>) {
            if let Some(value) = from {
                *to = Some(value.clone());
            }
        }
        // An address and a network are two ways to say the same.
        if self.ip.is_some() {
            to.network = None;
        }
        set(&mut to.network, self.network.as_ref());
        let context = &mut to.context;
        set(&mut context.ip, self.ip.as_ref());
        set(&mut context.country, self.country.as_ref());
        set(&mut context.device, self.device.as_ref());
        set(&mut context.device_trusted, self.device_trusted.as_ref());
        set(&mut context.risk, self.risk.as_ref());
        let queries = self.queries_last_hour.as_ref();
        set(&mut context.queries_last_hour, queries);
        set(&mut context.rows_last_day, self.rows_last_day.as_ref());
        set(&mut context.client, self.client.as_ref());
        if let Some(time) = self.time {
            context.time = time;
        }
        if let Some(time) = self.hour.and_then(|hour| context.time.with_hour(hour)) {
            context.time = time;
        }
    }
}

/// Reads circumstances, if there are any.
pub(super) fn circumstances(node: Option<&Node>, problems: &mut Problems) -> Circumstances {
    let Some(mut map) = node.and_then(|node| MapReader::new(node, &CONTEXT, problems)) else {
        return Circumstances::default();
    };
    let read = Circumstances {
        ip: map.optional("ip").and_then(|node| ip(node, problems)),
        network: map
            .optional("network")
            .and_then(|node| Some(Placed::new(node, node.non_empty_string(problems)?))),
        country: map.optional_string("country", problems),
        device: map.optional_string("device", problems),
        device_trusted: map.optional_bool("device_trusted", problems),
        time: map.optional("time").and_then(|node| time(node, problems)),
        hour: map.optional("hour").and_then(|node| hour(node, problems)),
        risk: map.optional_i64("risk", problems),
        queries_last_hour: map.optional_i64("queries_last_hour", problems),
        rows_last_day: map.optional_i64("rows_last_day", problems),
        client: map.optional_string("client", problems),
    };
    if let (Some(_), Some(network)) = (read.ip, map.optional("network")) {
        let problem = network.error("an address and a network are said, and only one can be");
        problems.push(problem.with_help("leave out one; an address tells its networks"));
    }
    map.finish(problems);
    read
}

/// A time that is said beside other circumstances.
pub(super) fn at(time: DateTime<Utc>) -> Circumstances {
    Circumstances {
        time: Some(time),
        ..Circumstances::default()
    }
}

fn ip(node: &Node, problems: &mut Problems) -> Option<IpAddr> {
    let text = node.string(problems)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        let problem = node.error(format!("`{text}` is no address"));
        problems.push(problem.with_help("write it like 10.1.2.3 or 2001:db8::1"));
    }
    parsed
}

/// Reads a time.
pub(super) fn time(node: &Node, problems: &mut Problems) -> Option<DateTime<Utc>> {
    let text = node.string(problems)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        let problem = node.error(format!("`{text}` is no time"));
        problems.push(problem.with_help("write it like 2026-03-02T10:00:00Z"));
    }
    parsed
}

fn hour(node: &Node, problems: &mut Problems) -> Option<u32> {
    let hour = u32::try_from(node.i64(problems)?).ok();
    let hour = hour.filter(|hour| *hour < 24);
    if hour.is_none() {
        problems.push(node.error("expected an hour from 0 to 23"));
    }
    hour
}
