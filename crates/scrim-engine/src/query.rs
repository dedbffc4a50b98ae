//! The life of a query. A query is a value that changes type as it earns rights; only the last
//! type can be run, and each step returns the value that the next one demands.
//!
//! ```text
//! Authenticated<Principal> + SQL
//!   → bind     → Query<Bound>       decisions made; tables are stubs that cannot be scanned
//!   → permit   → Query<Permitted>   the ledger holds the decisions, durably
//!   → govern   → Query<Governed>    stubs are guards; both verifiers passed
//!   → execute  → Results            compacted batches; closes the record exactly once
//! ```
//!
//! There is no function from `Query<Bound>` to data.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, TableScan};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::sql::parser::Statement as ParsedStatement;
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::Statement;
use scrim_ledger::{Opening, Permit, Reading};
use scrim_model::{Code, Limits, QueryId, Refusal, TableName};
use scrim_policy::Decision;

use crate::access;
use crate::activity::Place;
use crate::ask::{Ask, Params};
use crate::directory::DirectoryTable;
use crate::engine::Shared;
use crate::errors::{Stage, refusal};
use crate::external::Said;
use crate::fault;
use crate::gate::{Admitted, Answer, admit};
use crate::guard::{GuardTable, hand_down};
use crate::labels;
use crate::lookup::Lookups;
use crate::masks;
use crate::names::{Names, carry};
use crate::results::Results;
use crate::sessions::Planning;
use crate::share::Share;
use crate::stub::StubTable;
use crate::used;
use crate::verify;
use crate::world::World;

/// A query in one state of its life.
#[derive(Debug)]
pub struct Query<S> {
    pub(crate) common: Common,
    state: S,
}

/// What a query has in every state.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) id: QueryId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) world: Arc<World>,
    pub(crate) ask: Ask,
    pub(crate) sql: String,
    pub(crate) answer: Answer,
    pub(crate) schema: SchemaRef,
    pub(crate) masks: Vec<Option<String>>,
    pub(crate) session: Arc<SessionState>,
    pub(crate) decisions: BTreeMap<TableName, Arc<Decision>>,
    /// The tables as the record tells of them.
    pub(crate) readings: Arc<[Reading]>,
    /// The announced statement that this runs, if it was announced: the id that clients were told.
    pub(crate) statement: Option<QueryId>,
    /// The part of the result that this run gives; all of it when there is none.
    pub(crate) share: Option<Share>,
}

/// Names are resolved against what the decisions show; nothing can be read.
#[derive(Debug)]
pub struct Bound {
    plan: LogicalPlan,
    /// The plan of the statement that the answer is about, when it is not what runs.
    about: Option<LogicalPlan>,
}

/// The ledger holds the decisions.
#[derive(Debug)]
pub struct Permitted {
    plan: LogicalPlan,
    permit: Permit,
    place: Place,
}

/// Every table is a guard of this query, checked twice.
#[derive(Debug)]
pub struct Governed {
    logical: LogicalPlan,
    physical: Arc<dyn ExecutionPlan>,
    permit: Permit,
    place: Place,
}

impl Bound {
    /// What runs: the plan itself, or what gives the rows that are told about it.
    fn new(
        plan: LogicalPlan,
        told: Option<Result<RecordBatch, DataFusionError>>,
    ) -> Result<Self, DataFusionError> {
        let Some(rows) = told else {
            return Ok(Self { plan, about: None });
        };
        let table = provider_as_source(Arc::new(DirectoryTable::new(rows?)));
        Ok(Self {
            plan: LogicalPlanBuilder::scan("access", table, None)?.build()?,
            about: Some(plan),
        })
    }
}

impl<S> Query<S> {
    /// The query's id, which the ledger and the log know it by.
    pub fn id(&self) -> QueryId {
        self.common.id
    }

    /// The result's schema; every field is nullable.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.common.schema)
    }

    /// For each column of the result the name of the mask that it went through, `derived` when it
    /// was computed from masked columns, `None` when nothing masked went into it.
    pub fn masks(&self) -> &[Option<String>] {
        &self.common.masks
    }

    /// The decisions that the query rests on, by table.
    pub fn decisions(&self) -> impl Iterator<Item = &Arc<Decision>> {
        self.common.decisions.values()
    }
}

impl Query<Bound> {
    pub(crate) fn bind(
        shared: Arc<Shared>,
        world: Arc<World>,
        (ask, said): (Ask, Said),
        sql: String,
        params: Option<Params>,
        (id, announced): (QueryId, Option<QueryId>),
    ) -> Result<Self, Refusal> {
        let admitted = admit(&sql, &shared.config.limits)?;
        let Admitted { statement, answer } = admitted;
        let (session, functions) = shared.planner(ask.time_zone.as_ref());
        let names = Names::new(&world, &ask, &said, &functions, session.config_options());
        let plan = planned(&names, statement)
            .and_then(|plan| with_params(plan, params))
            .map_err(|e| refusal(&e, Stage::Planning))?;
        let decisions = names.into_decisions();
        verify::admissible(&plan, &functions, shared.config.limits.plan_nodes_max)?;
        let masks = masks::of_plan(&plan);
        let readings = readings(&decisions, &used::columns(&plan));
        let (plan, shape) = analysed(&session, plan)?;
        let told = match answer {
            Answer::Rows | Answer::Plan => None,
            Answer::Columns => Some(access::columns(&plan, &world)),
            Answer::Access => {
                let planning = Planning::new(&session, ask.context.time);
                Some(access::query(&plan, &planning, &shape, &masks))
            }
        };
        let state = Bound::new(plan, told).map_err(|e| refusal(&e, Stage::Planning))?;
        let (schema, masks) = match answer {
            Answer::Rows => (shape, masks),
            Answer::Plan => unmasked(explain_schema()),
            Answer::Columns | Answer::Access => unmasked(nullable(state.plan.schema().as_arrow())),
        };
        Ok(Self {
            common: Common {
                id,
                shared,
                world,
                ask,
                sql,
                answer,
                schema,
                masks,
                session,
                decisions,
                readings,
                statement: announced,
                share: None,
            },
            state,
        })
    }

    pub(crate) fn plan(&self) -> &LogicalPlan {
        &self.state.plan
    }

    /// The version of the policy set that decided.
    pub fn policy_version(&self) -> &str {
        self.common.world.policy.version()
    }

    /// The parameters that are still open, `$1` first, with the types that the statement implies.
    ///
    /// # Errors
    /// When one parameter is used as two types.
    pub fn parameters(&self) -> Result<Vec<(String, Option<DataType>)>, Refusal> {
        let Bound { plan, about } = &self.state;
        let types = about
            .as_ref()
            .unwrap_or(plan)
            .get_parameter_types()
            .map_err(|e| refusal(&e, Stage::Planning))?;
        let mut parameters: Vec<_> = types.into_iter().collect();
        parameters.sort_by_key(|(name, _)| {
            (
                name.trim_start_matches('$')
                    .parse::<u64>()
                    .unwrap_or(u64::MAX),
                name.clone(),
            )
        });
        Ok(parameters)
    }

    /// Opens the query's record in the ledger: durable before this returns.
    ///
    /// # Errors
    /// When a limit of the principal is reached, a parameter is missing, or the ledger cannot be
    /// written; without a record there is no permit.
    pub async fn permit(self) -> Result<Query<Permitted>, Refusal> {
        let open = self.parameters()?;
        if let Some((name, _)) = open.first() {
            return Err(Refusal::new(
                Code::ParameterInvalid,
                format!("parameter {name} has no value"),
            ));
        }
        let Self { common, state } = self;
        let principal = common.ask.principal.get();
        let place = common.shared.activity.enter(
            &principal.id,
            common.limits(),
            common.shared.config.limits.concurrent_per_principal,
            common.shared.clock.now(),
        )?;
        let opening = Opening {
            query: common.id,
            statement: common.statement,
            session: common.ask.session.map(|id| id.to_string()),
            facts: common.ask.facts(),
            sql: common.sql.clone(),
            policy_version: common.world.policy.version().to_owned(),
            readings: Arc::clone(&common.readings),
        };
        let permit = common
            .shared
            .ledger
            .open_query(opening)
            .await
            .map_err(|e| {
                Refusal::new(
                    Code::LedgerUnavailable,
                    "the ledger cannot be written, so nothing is served; tell the operator",
                )
                .with_detail(e)
            })?;
        let (policy, decisions) = (&common.world.policy, common.decisions.values());
        let shadow = &common.shared.shadow;
        shadow.note(common.id, &common.ask, policy, decisions);
        Ok(Query {
            common,
            state: Permitted {
                plan: state.plan,
                permit,
                place,
            },
        })
    }
}

impl Query<Permitted> {
    /// Puts a guard in the place of every stub, plans, and verifies both plans.
    ///
    /// # Errors
    /// A refusal; the record is closed as failed.
    pub async fn govern(self) -> Result<Query<Governed>, Refusal> {
        let Self {
            common,
            state:
                Permitted {
                    plan,
                    permit,
                    place,
                },
        } = self;
        match common.plan(plan, &permit).await {
            Ok((logical, physical)) => Ok(Query {
                common,
                state: Governed {
                    logical,
                    physical,
                    permit,
                    place,
                },
            }),
            Err(refusal) => {
                permit.failed(refusal.code(), 0, 0);
                Err(refusal)
            }
        }
    }
}

impl Query<Governed> {
    /// Starts the query; the results own its record and close it.
    ///
    /// # Errors
    /// A refusal; the record is closed as failed.
    pub fn execute(self) -> Result<Results, Refusal> {
        let Self {
            common,
            state:
                Governed {
                    logical,
                    physical,
                    permit,
                    place,
                },
        } = self;
        // The last check is right before the run, of the very plan that runs.
        if let Err(refusal) = verify::physical(&physical, &permit) {
            permit.failed(refusal.code(), 0, 0);
            return Err(refusal);
        }
        if common.answer == Answer::Plan {
            let text = vec![
                (
                    "logical_plan",
                    labels::unmarked(&logical.display_indent().to_string()),
                ),
                (
                    "physical_plan",
                    labels::unmarked(&displayable(physical.as_ref()).indent(false).to_string()),
                ),
            ];
            return Results::explain(common, permit, place, &text);
        }
        Ok(Results::run(common, physical, permit, place))
    }
}

impl Common {
    /// The strictest limits of the tables in the query.
    pub(crate) fn limits(&self) -> Limits {
        let limits = self
            .decisions
            .values()
            .fold(Limits::default(), |limits, d| limits.strictest(d.limits));
        match self.answer {
            Answer::Rows | Answer::Plan => limits,
            // How many of a table's rows may leave says nothing of answers about the table.
            Answer::Columns | Answer::Access => Limits {
                max_rows: None,
                max_bytes: None,
                ..limits
            },
        }
    }

    async fn plan(
        &self,
        plan: LogicalPlan,
        permit: &Permit,
    ) -> Result<(LogicalPlan, Arc<dyn ExecutionPlan>), Refusal> {
        let session = self.planner();
        let session = session.as_ref();
        let guards = self.guards().await?;
        let failed = |e: DataFusionError| refusal(&e, Stage::Planning);
        let governed = govern(plan, &guards).map_err(failed)?;
        verify::logical(&governed, permit)?;
        let planning = Planning::new(session, self.ask.context.time);
        let optimised = session
            .optimizer()
            .optimize(governed, &planning, |_, _| {})
            .map_err(failed)?;
        verify::logical(&optimised, permit)?;
        let physical = session
            .query_planner()
            .create_physical_plan(&optimised, session)
            .await
            .map_err(failed)?;
        let physical = hand_down(&physical).map_err(failed)?;
        verify::physical(&physical, permit)?;
        self.check_version().await?;
        Ok((optimised, physical))
    }

    async fn guards(&self) -> Result<BTreeMap<String, Arc<GuardTable>>, Refusal> {
        let mut guards = BTreeMap::new();
        match self.answer {
            Answer::Rows | Answer::Plan => {}
            // Nothing is read of the tables, so nothing of them need be there.
            Answer::Columns | Answer::Access => return Ok(guards),
        }
        let vault = &self.shared.sessions.vault;
        let mut lookups = Lookups::new(&self.world, vault, self.shared.clock.as_ref());
        for (name, decision) in &self.decisions {
            let lowered = self
                .shared
                .lowered(&self.world, decision, &mut lookups, self.ask.context.time)
                .await
                .map_err(|e| fault::refusal(&e))?;
            let guard = GuardTable {
                query: self.id,
                name: name.clone(),
                lowered,
                vault: Arc::clone(vault),
                now: self.ask.context.time,
                partitions: self.shared.config.partitions,
                share: self.share.as_ref().map(|share| (share.index, share.of)),
            };
            guards.insert(decision.hash.clone(), Arc::new(guard));
        }
        Ok(guards)
    }
}

/// The tables as the record tells of them.
fn readings(
    decisions: &BTreeMap<TableName, Arc<Decision>>,
    used: &BTreeMap<TableName, BTreeSet<String>>,
) -> Arc<[Reading]> {
    let reading = |(table, decision): (&TableName, &Arc<Decision>)| {
        let used = used.get(table);
        let names = decision.columns.iter().map(|column| &column.name);
        let used = names.filter(|name| used.is_some_and(|used| used.contains(*name)));
        Reading {
            used: Some(used.cloned().collect()),
            ..Reading::from(Arc::clone(decision))
        }
    };
    decisions.iter().map(reading).collect()
}

/// A schema in which nothing is masked.
fn unmasked(schema: SchemaRef) -> (SchemaRef, Vec<Option<String>>) {
    let masks = vec![None; schema.fields().len()];
    (schema, masks)
}

/// The plan of a statement, over stubs.
fn planned(
    names: &Names<'_>,
    mut statement: Box<Statement>,
) -> Result<LogicalPlan, DataFusionError> {
    let plan = |statement: Box<Statement>| {
        let options = ParserOptions {
            map_string_types_to_utf8view: false,
            ..ParserOptions::default()
        };
        SqlToRel::new_with_options(names, options)
            .statement_to_plan(ParsedStatement::Statement(statement))
    };
    match plan(statement.clone()) {
        // What is wrong is said of the statement as it was written.
        Err(e) if labels::are_equal(&e) && labels::set_apart(&mut statement) => {
            plan(statement).map_err(|_| e)
        }
        done => done,
    }
}

/// Swaps each stub for the guard of its decision, in subqueries too.
fn govern(
    plan: LogicalPlan,
    guards: &BTreeMap<String, Arc<GuardTable>>,
) -> Result<LogicalPlan, DataFusionError> {
    let swapped = plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = &node else {
            return Ok(Transformed::no(node));
        };
        let provider = source_as_provider(&scan.source)?;
        let any: &dyn std::any::Any = provider.as_ref();
        let Some(stub) = any.downcast_ref::<StubTable>() else {
            return Ok(Transformed::no(node));
        };
        let Some(guard) = guards.get(&stub.decision.hash) else {
            return Err(DataFusionError::Internal(
                "a stub without a guard".to_owned(),
            ));
        };
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan {
            source: provider_as_source(Arc::clone(guard) as _),
            ..scan.clone()
        })))
    })?;
    Ok(swapped.data)
}

/// Binds parameters, each cast to the type that the statement implies for it.
fn with_params(plan: LogicalPlan, params: Option<Params>) -> Result<LogicalPlan, DataFusionError> {
    let Some(params) = params else {
        return Ok(plan);
    };
    let types = plan.get_parameter_types()?;
    if let Some(name) = unbound(&types, params.len()) {
        return Err(carry(Refusal::new(
            Code::ParameterInvalid,
            format!("parameter {name} has no value"),
        )));
    }
    let mut values: Vec<ScalarAndMetadata> = Vec::with_capacity(params.len());
    for (index, value) in params.into_iter().enumerate() {
        let name = format!("${}", index + 1);
        let cast = match types.get(&name).cloned().flatten() {
            Some(data_type) => cast_param(&name, &value, &data_type)?,
            None => value,
        };
        values.push(cast.into());
    }
    plan.replace_params_with_values(&ParamValues::List(values))
}

/// The first parameter of a statement that `count` values leave without one.
fn unbound(types: &HashMap<String, Option<DataType>>, count: usize) -> Option<String> {
    let bound: BTreeSet<String> = (1..=count).map(|index| format!("${index}")).collect();
    let open: BTreeSet<&String> = types.keys().filter(|name| !bound.contains(*name)).collect();
    open.first().map(|name| (*name).clone())
}

fn cast_param(
    name: &str,
    value: &ScalarValue,
    to: &DataType,
) -> Result<ScalarValue, DataFusionError> {
    value.cast_to(to).map_err(|_| {
        carry(Refusal::new(
            Code::ParameterInvalid,
            format!("the value of parameter {name} cannot be converted to {to}"),
        ))
    })
}

/// The plan with its types settled, and the schema of the result. A statement with open parameters
/// cannot always be analysed; its schema is a first guess until they have values.
fn analysed(
    session: &SessionState,
    plan: LogicalPlan,
) -> Result<(LogicalPlan, SchemaRef), Refusal> {
    let analysed =
        session
            .analyzer()
            .execute_and_check(plan.clone(), session.config_options(), |_, _| {});
    let plan = match analysed {
        Ok(analysed) => analysed,
        Err(_)
            if plan
                .get_parameter_types()
                .is_ok_and(|open| !open.is_empty()) =>
        {
            plan
        }
        Err(e) => return Err(refusal(&e, Stage::Planning)),
    };
    let schema = nullable(plan.schema().as_arrow());
    Ok((plan, schema))
}

/// Nullability would differ between plan and stream, and tell of the source: everything is nullable.
pub(crate) fn nullable(schema: &Schema) -> SchemaRef {
    let named = schema.fields().iter().zip(labels::shown(schema));
    let fields: Vec<Field> = named
        .map(|(field, name)| Field::new(name, field.data_type().clone(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

pub(crate) fn explain_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("plan_type", DataType::Utf8, true),
        Field::new("plan", DataType::Utf8, true),
    ]))
}
