//! The functions that a policy may call: a list of our own.
//!
//! On it are only immutable functions of which the property test shows that they never raise, with
//! the conditions that `calls` puts on their arguments. A function that a new version of the engine
//! brings is not offered until someone has looked at it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion_expr::planner::ExprPlanner;
use datafusion_expr::{ScalarUDF, Volatility};
use scrim_document::nearest;

use super::Fault;
use super::ip_in::IpIn;
use crate::env::FunctionSet;

/// What a function's arguments must be so that it cannot raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Values that are no lists, maps or structs.
    Scalars,
    /// A list of such values, or such a value.
    Lists,
    /// The first is a float.
    Float,
    /// All but the first are literals within bounds.
    Slice,
    /// The second and further are literals, the second a valid regular expression.
    Regex,
    /// The first is a literal part that we list, the second a date or a timestamp.
    DatePart,
    /// The first is a struct, the others literal names.
    Field,
    /// The first is text, the others literal networks.
    Networks,
}

/// One function of the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed {
    pub(crate) name: &'static str,
    pub(crate) rule: Rule,
    /// Whether it is NULL whenever one of its arguments is.
    pub(crate) strict: bool,
    /// Whether it can make something of a NULL, so that it must not see an unknown attribute.
    pub(crate) fills: bool,
}

const fn strict(name: &'static str, rule: Rule) -> Listed {
    Listed {
        name,
        rule,
        strict: true,
        fills: false,
    }
}

const fn lax(name: &'static str, rule: Rule) -> Listed {
    Listed {
        name,
        rule,
        strict: false,
        fills: false,
    }
}

const fn filling(name: &'static str, rule: Rule) -> Listed {
    Listed {
        name,
        rule,
        strict: false,
        fills: true,
    }
}

/// The list, by the functions' own names.
pub(crate) const LISTED: &[Listed] = &[
    strict("abs", Rule::Float),
    strict("ascii", Rule::Scalars),
    strict("bit_length", Rule::Scalars),
    strict("btrim", Rule::Scalars),
    strict("ceil", Rule::Float),
    strict("character_length", Rule::Scalars),
    strict("contains", Rule::Scalars),
    strict("date_part", Rule::DatePart),
    strict("ends_with", Rule::Scalars),
    strict("floor", Rule::Float),
    strict("get_field", Rule::Field),
    strict("ip_in", Rule::Networks),
    strict("isnan", Rule::Float),
    strict("left", Rule::Slice),
    strict("lower", Rule::Scalars),
    strict("ltrim", Rule::Scalars),
    strict("octet_length", Rule::Scalars),
    strict("regexp_like", Rule::Regex),
    strict("reverse", Rule::Scalars),
    strict("right", Rule::Slice),
    strict("round", Rule::Float),
    strict("rtrim", Rule::Scalars),
    strict("starts_with", Rule::Scalars),
    strict("strpos", Rule::Scalars),
    strict("substr", Rule::Slice),
    strict("upper", Rule::Scalars),
    // Lists are not strict: no list of values holds anything, not even the unknown.
    lax("array_has", Rule::Lists),
    lax("array_has_all", Rule::Lists),
    lax("array_has_any", Rule::Lists),
    lax("array_length", Rule::Lists),
    lax("cardinality", Rule::Lists),
    lax("empty", Rule::Lists),
    filling("coalesce", Rule::Scalars),
    filling("concat", Rule::Scalars),
    filling("concat_ws", Rule::Scalars),
    filling("greatest", Rule::Scalars),
    filling("least", Rule::Scalars),
    filling("make_array", Rule::Scalars),
    filling("nullif", Rule::Scalars),
    filling("nvl", Rule::Scalars),
    filling("nvl2", Rule::Scalars),
];

/// What to use instead of well-known functions that are not on the list.
const INSTEAD: &[(&str, &str)] = &[
    ("now", "use `context.time`"),
    ("current_timestamp", "use `context.time`"),
    ("current_date", "use `CAST(context.time AS DATE)`"),
    ("today", "use `CAST(context.time AS DATE)`"),
    ("current_time", "use `context.time` or `context.hour`"),
    ("to_timestamp", "use `TRY_CAST(… AS TIMESTAMP)`"),
    ("to_date", "use `TRY_CAST(… AS DATE)`"),
    ("arrow_cast", "use `TRY_CAST(… AS …)`"),
    ("array_element", "use `array_has`"),
    ("random", "a decision must not depend on chance"),
    ("uuid", "a decision must not depend on chance"),
];

/// The rule of a function, if it is on the list.
pub(crate) fn listed(name: &str) -> Option<&'static Listed> {
    LISTED.iter().find(|listed| listed.name == name)
}

/// The functions of the list, as the engine gave them, by every name they answer to.
#[derive(Clone)]
pub(crate) struct PolicyFunctions {
    by_name: BTreeMap<String, Arc<ScalarUDF>>,
    pub(crate) planners: Vec<Arc<dyn ExprPlanner>>,
}

impl PolicyFunctions {
    /// Picks from what the engine gives; `ip_in` is ours.
    pub(crate) fn new(given: &FunctionSet) -> Self {
        let mut by_name = BTreeMap::new();
        let ip_in = Arc::new(ScalarUDF::from(IpIn::new()));
        for function in given.scalars.values().chain([&ip_in]) {
            let ours = function.name() != ip_in.name() || Arc::ptr_eq(function, &ip_in);
            let immutable = function.signature().volatility == Volatility::Immutable;
            if listed(function.name()).is_none() || !immutable || !ours {
                continue;
            }
            for name in function
                .aliases()
                .iter()
                .map(String::as_str)
                .chain([function.name()])
            {
                by_name.insert(name.to_owned(), Arc::clone(function));
            }
        }
        Self {
            by_name,
            planners: given.planners.clone(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.by_name.get(name).cloned()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Why a function cannot be called.
    pub(crate) fn refused(&self, name: &str) -> Fault {
        let fault = Fault::new(format!("the function `{name}` cannot be used in a policy"));
        let instead = INSTEAD.iter().find(|(listed, _)| *listed == name);
        if let Some((_, instead)) = instead {
            return fault.help(*instead);
        }
        match nearest(name, self.names()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help("only immutable functions that cannot fail on any row are offered"),
        }
    }
}

impl fmt::Debug for PolicyFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyFunctions({} names)", self.by_name.len())
    }
}
