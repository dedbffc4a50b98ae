//! The functions that a principal may call: a list, so that a function which a new version of the
//! engine brings is not offered until someone has looked at it.
//!
//! A mask is never on it: a callable keyed pseudonym would be a dictionary oracle under our key.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, Expr, ScalarUDF, WindowUDF};
use scrim_model::{Code, Refusal};

/// Deterministic functions without access to files, sessions or the process. A name that this
/// version of the engine lacks does no harm.
const SCALAR: &str = "
    abs acos acosh asin asinh atan atan2 atanh cbrt ceil cos cosh cot degrees exp factorial floor gcd
    isnan iszero lcm ln log log10 log2 nanvl pi power pow radians round signum sin sinh sqrt tan tanh
    trunc
    coalesce nullif nvl nvl2 ifnull greatest least named_struct struct get_field arrow_cast
    arrow_typeof union_extract union_tag
    ascii bit_length btrim char_length character_length length chr concat concat_ws contains
    ends_with find_in_set initcap instr left levenshtein lower lpad ltrim octet_length overlay
    position replace reverse right rpad rtrim split_part starts_with strpos substr substring
    substr_index substring_index to_hex translate trim upper
    regexp_count regexp_instr regexp_like regexp_match regexp_replace
    digest md5 sha224 sha256 sha384 sha512 encode decode
    current_date current_time current_timestamp now today date_bin date_format date_part datepart
    date_trunc datetrunc extract from_unixtime make_date make_time to_char to_date to_local_time
    to_time to_timestamp to_timestamp_micros to_timestamp_millis to_timestamp_nanos
    to_timestamp_seconds to_unixtime
    array_any_value list_any_value array_append list_append array_concat array_cat list_cat
    list_concat array_contains list_contains array_dims list_dims array_distance list_distance
    array_distinct list_distinct array_element array_extract list_element list_extract array_empty
    empty array_except list_except array_has list_has array_has_all list_has_all array_has_any
    list_has_any arrays_overlap array_indexof list_indexof array_intersect list_intersect
    array_join list_join array_to_string list_to_string array_length list_length array_max
    list_max array_min list_min array_ndims list_ndims array_pop_back list_pop_back
    array_pop_front list_pop_front array_position list_position array_positions list_positions
    array_prepend list_prepend array_push_back list_push_back array_push_front list_push_front
    array_remove list_remove array_remove_all list_remove_all array_remove_n list_remove_n
    array_replace list_replace array_replace_all list_replace_all array_replace_n list_replace_n
    array_reverse list_reverse array_slice list_slice array_sort list_sort array_union list_union
    cardinality flatten make_array make_list string_to_array string_to_list map map_entries
    map_extract element_at map_keys map_values make_map
";

const AGGREGATE: &str = "
    approx_distinct approx_median approx_percentile_cont approx_percentile_cont_with_weight array_agg
    avg mean bit_and bit_or bit_xor bool_and bool_or corr count covar covar_pop covar_samp
    first_value grouping last_value max median min nth_value percentile_cont quantile_cont
    regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
    stddev stddev_pop stddev_samp string_agg sum var var_pop var_population var_samp var_sample
";

const WINDOW: &str = "
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
";

/// Functions whose result can be far larger than their arguments: the position of the argument that
/// says how large, which must be a literal.
const SIZED: &[(&str, usize)] = &[("lpad", 1), ("rpad", 1)];

/// The greatest length that a sized function may be asked for.
const SIZE_MAX: i64 = 1_000;

/// What a principal's SQL may call.
#[derive(Debug, Clone)]
pub(crate) struct Functions {
    pub(crate) scalar: HashMap<String, Arc<ScalarUDF>>,
    pub(crate) aggregate: HashMap<String, Arc<AggregateUDF>>,
    pub(crate) window: HashMap<String, Arc<WindowUDF>>,
    pub(crate) planners: Vec<Arc<dyn ExprPlanner>>,
}

impl Functions {
    /// Picks the listed functions from everything that the engine has.
    pub(crate) fn listed() -> Self {
        let all = SessionStateBuilder::new_with_default_features().build();
        Self {
            scalar: pick(all.scalar_functions(), SCALAR),
            aggregate: pick(all.aggregate_functions(), AGGREGATE),
            window: pick(all.window_functions(), WINDOW),
            planners: all.expr_planners().to_vec(),
        }
    }

    /// The same functions, as they are under these options: what `now()` returns depends on them.
    pub(crate) fn configured(&self, options: &ConfigOptions) -> Self {
        let configured =
            |function: &Arc<ScalarUDF>| match function.inner().with_updated_config(options) {
                Some(configured) => Arc::new(configured),
                None => Arc::clone(function),
            };
        let names = self.scalar.keys().cloned();
        Self {
            scalar: names.zip(self.scalar.values().map(configured)).collect(),
            ..self.clone()
        }
    }
}

fn pick<T>(all: &HashMap<String, Arc<T>>, listed: &str) -> HashMap<String, Arc<T>> {
    listed
        .split_whitespace()
        .filter_map(|name| {
            all.get(name)
                .map(|function| (name.to_owned(), Arc::clone(function)))
        })
        .collect()
}

/// Checks one expression of the plan: every call is of a listed function, and what a call may
/// allocate is known before it runs.
pub(crate) fn check_call(expr: &Expr, functions: &Functions) -> Result<(), Refusal> {
    match expr {
        Expr::ScalarFunction(call) => {
            if !functions.scalar.contains_key(call.func.name()) {
                return Err(refused(call.func.name()));
            }
            check_size(call.func.name(), &call.args)
        }
        Expr::AggregateFunction(call) if !functions.aggregate.contains_key(call.func.name()) => {
            Err(refused(call.func.name()))
        }
        Expr::WindowFunction(call) => {
            let name = call.fun.name();
            if functions.window.contains_key(name) || functions.aggregate.contains_key(name) {
                Ok(())
            } else {
                Err(refused(name))
            }
        }
        Expr::ScalarVariable(..) | Expr::HigherOrderFunction(..) => Err(refused("this expression")),
        _ => Ok(()),
    }
}

fn check_size(name: &str, args: &[Expr]) -> Result<(), Refusal> {
    let Some((_, position)) = SIZED.iter().find(|(sized, _)| *sized == name) else {
        return Ok(());
    };
    let literal = match args.get(*position) {
        Some(Expr::Literal(value, _)) => value.cast_to(&DataType::Int64).ok(),
        _ => None,
    };
    match literal {
        Some(ScalarValue::Int64(Some(size))) if (0..=SIZE_MAX).contains(&size) => Ok(()),
        _ => Err(Refusal::new(
            Code::FunctionRefused,
            format!("the length given to {name} must be a literal from 0 to {SIZE_MAX}"),
        )),
    }
}

/// The same words for a function that is not offered and for one that does not exist.
pub(crate) fn refused(name: &str) -> Refusal {
    Refusal::new(
        Code::FunctionRefused,
        format!("function {} does not exist", crate::gate::clip(name)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_13_no_listed_function_reads_files_settings_or_randomness() {
        let functions = Functions::listed();
        for name in [
            "random",
            "uuid",
            "version",
            "input_file_name",
            "file_row_index",
            "arrow_metadata",
            "repeat",
            "array_repeat",
            "generate_series",
            "range",
            "array_resize",
            "ip_in",
            "pseudonymize",
        ] {
            assert!(!functions.scalar.contains_key(name), "{name}");
        }
        for name in [
            "lower",
            "substr",
            "date_trunc",
            "array_has",
            "coalesce",
            "round",
        ] {
            assert!(functions.scalar.contains_key(name), "{name}");
        }
        assert!(functions.aggregate.contains_key("sum") && functions.window.contains_key("rank"));
    }
}
