//! `scrim explain`.

use datafusion::sql::parser::DFParser;
use datafusion::sql::resolve::resolve_table_references;
use scrim_model::{CATALOG, Clock, Context, Principal, SessionSettings, SystemClock, TableName};
use scrim_policy::{Decision, PolicySet, Verdict};

use super::runtime;
use crate::cli::Explain;
use crate::explain;
use crate::local::{Local, read_config};
use crate::out::Out;
use crate::outcome::Failure;

/// Tells each table's decision for somebody, whether it shows the table or not.
pub(crate) fn run(arguments: &Explain, out: &mut Out) -> Result<(), Failure> {
    let config = read_config(&arguments.config, None)?;
    let local = runtime()?.block_on(Local::open(config))?;
    let principal = account(&local, &arguments.account)?;
    let mut context = Context::at(arguments.at.unwrap_or_else(|| SystemClock.now()));
    context.ip = Some(arguments.ip);
    context.networks = local.config.networks.containing(arguments.ip);
    let settings = SessionSettings {
        purpose: arguments.purpose.clone(),
        agreement: arguments.agreement.clone(),
        release: None,
    };
    let eyes = Eyes {
        policy: &local.policy,
        principal: &principal,
        context,
        settings,
    };
    let decisions: Vec<Decision> = eyes
        .tables(&arguments.sql)?
        .iter()
        .map(|table| eyes.decide(table))
        .collect();
    if arguments.json {
        let text =
            serde_json::to_string_pretty(&decisions).map_err(|error| Failure::failed(&error))?;
        return Ok(out.line(text)?);
    }
    for (index, decision) in decisions.iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        let table = local.policy.table(&decision.table);
        out.line(explain::decision(decision, table, &principal).trim_end())?;
    }
    Ok(())
}

fn account(local: &Local, id: &str) -> Result<Principal, Failure> {
    let identity = &local.config.identity;
    let accounts = scrim_server::load::accounts(&identity.accounts, &identity.attributes)?;
    accounts.get(id).cloned().ok_or_else(|| {
        let known: Vec<_> = accounts.ids().collect();
        Failure::Usage(format!(
            "there is no account `{id}` in {}; there are {}",
            identity.accounts.display(),
            known.join(", ")
        ))
    })
}

/// Somebody's view.
struct Eyes<'a> {
    policy: &'a PolicySet,
    principal: &'a Principal,
    context: Context,
    settings: SessionSettings,
}

impl Eyes<'_> {
    fn decide(&self, table: &TableName) -> Decision {
        self.policy
            .decide(self.principal, &self.context, &self.settings, table)
    }

    /// The tables that a statement names, in its order.
    fn tables(&self, sql: &str) -> Result<Vec<TableName>, Failure> {
        let wrong =
            |error: &dyn std::error::Error| Failure::Usage(format!("the statement: {error}"));
        let statements = DFParser::parse_sql(sql).map_err(|error| wrong(&error))?;
        let mut tables = Vec::new();
        for statement in &statements {
            let (references, _) =
                resolve_table_references(statement, true).map_err(|error| wrong(&error))?;
            for reference in references {
                let resolved = reference.resolve(CATALOG, &self.default_schema());
                let name = TableName::new(&*resolved.schema, &*resolved.table);
                if !tables.contains(&name) {
                    tables.push(name);
                }
            }
        }
        if tables.is_empty() {
            return Err(Failure::Usage("the statement names no table".to_owned()));
        }
        Ok(tables)
    }

    /// The schema of bare names: the first of which the principal can see a table.
    fn default_schema(&self) -> String {
        let mut names = self.policy.tables_for(self.principal);
        names.sort();
        let seen = names
            .iter()
            .find(|name| self.decide(name).verdict == Verdict::Shown);
        let first = || {
            self.policy
                .tables()
                .next()
                .map(|table| table.name.schema.clone())
        };
        seen.map(|name| name.schema.clone())
            .or_else(first)
            .unwrap_or_else(|| "public".to_owned())
    }
}
