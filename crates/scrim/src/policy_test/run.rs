//! Runs test files through the engine, as their personas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use scrim_document::{Location, Problem, Problems, SourceFile, nearest};
use scrim_engine::Ask;
use scrim_model::TableName;
use scrim_policy::{ContractDocument, Coverage, Documents, beside_raw};
use scrim_server::load::{Fixtures, Inputs, Loaded};

use super::answer::{Answer, Row, told};
use super::ask::{Heard, Stage, ask, hear};
use super::check::{self, Difference, Named};
use super::files::{Read, read};
use super::fixtures::{contract_named, fixtures, is_named, no_contract};
use super::format::{Case, Placed, SeenColumns, SeenTable};
use super::{compare, seen, touch};
use crate::local::{Bench, problems_of};
use crate::outcome::Failure;

/// Principals that ask at once. One principal asks one question after the other: how many it may ask
/// at once is a limit of its own.
const AT_ONCE: usize = 8;

/// What to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Only cases whose file or name contains this.
    pub only: Option<&'a str>,
    /// Whether to find out what no test touches.
    pub coverage: bool,
}

/// How one case went, for one persona.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// What it shows.
    pub name: String,
    /// Who asked, where the case has several personas.
    pub persona: Option<String>,
    /// Where it stands.
    pub location: Location,
    /// What is not as expected; nothing when it passed.
    pub differences: Vec<Difference>,
    /// How long it took.
    pub took: Duration,
}

/// How the cases of one file went, in its order.
#[derive(Debug, Clone)]
pub struct FileResult {
    /// Its path, from the folder of policies on.
    pub path: String,
    /// Its cases.
    pub cases: Vec<CaseResult>,
}

/// How a run went.
#[derive(Debug, Clone)]
pub struct Run {
    /// The files, in order; those of which no case was wanted are left out.
    pub files: Vec<FileResult>,
    /// What the cases touched, if that was asked for.
    pub coverage: Option<Coverage>,
    /// How long all of it took.
    pub took: Duration,
}

/// One question of one persona.
struct Job<'a> {
    of: &'a Read,
    /// The places of the file and the case, for the order of results.
    place: (usize, usize, usize),
    case: &'a Case,
    persona: &'a str,
    ask: Ask,
}

/// What came of a job.
struct Done {
    place: (usize, usize, usize),
    result: CaseResult,
    touched: Vec<touch::Touched>,
}

/// Runs all test files of the configuration's policies. Files without fixtures share one world over
/// the real sources; each file with fixtures has one of its own.
///
/// # Errors
/// Problems in any of the files: then no case runs.
pub async fn run(bench: &Bench, options: Options<'_>) -> Result<Run, Failure> {
    // Large, and most of its callers are small.
    Box::pin(run_files(bench, options)).await
}

async fn run_files(bench: &Bench, options: Options<'_>) -> Result<Run, Failure> {
    let started = Instant::now();
    let files = read(&bench.config.policies)?;
    let documents = bench.inputs.documents()?;
    let jobs = jobs(bench, &files, &documents, options.only)?;
    let mut coverage = options.coverage.then(|| Coverage::of(&documents));
    let (real, own): (Vec<_>, Vec<_>) = jobs
        .into_iter()
        .partition(|job| !job.of.file.has_fixtures());
    let mut done = Vec::new();
    // The tables that the first world opens serve the others, too.
    let mut opened = Fixtures::default();
    if !real.is_empty() {
        let fixtures = Fixtures::default();
        let world = World::load(bench, documents.clone(), fixtures, &bench.inputs).await?;
        opened.tables.clone_from(&world.loaded.world.tables);
        done.extend(Box::pin(world.run(bench, real, coverage.as_mut())).await?);
    }
    for jobs in by_file(own) {
        let Some(of) = jobs.first().map(|job| job.of) else {
            continue;
        };
        let world = with_fixtures(bench, of, &documents, &opened).await?;
        done.extend(Box::pin(world.run(bench, jobs, coverage.as_mut())).await?);
    }
    Ok(Run {
        files: in_order(&files, done),
        coverage,
        took: started.elapsed(),
    })
}

/// All wanted questions, and all personas checked, asked for or not.
fn jobs<'a>(
    bench: &Bench,
    files: &'a [Read],
    documents: &Documents,
    only: Option<&str>,
) -> Result<Vec<Job<'a>>, Problems> {
    let mut jobs = Vec::new();
    let mut problems = Problems::default();
    for (number, of) in files.iter().enumerate() {
        let before = problems.len();
        for persona in of.file.personas.values() {
            problems.extend(super::ask::check(bench, persona));
        }
        if problems.len() > before {
            continue;
        }
        let only = only.filter(|only| !of.file.path.contains(only));
        for (at, case) in of.file.cases.iter().enumerate() {
            problems.extend(unknown_names(case, &of.source, documents));
            let wanted = only.is_none_or(|only| case.name.contains(only));
            for (turn, name) in case.personas.iter().enumerate().filter(|_| wanted) {
                let Some(persona) = of.file.personas.get(name) else {
                    continue;
                };
                match ask(bench, &case.asked(persona), &of.source) {
                    Ok(ask) => jobs.push(Job {
                        of,
                        place: (number, at, turn),
                        case,
                        persona: name,
                        ask,
                    }),
                    Err(found) => problems.extend(found),
                }
            }
        }
    }
    problems.into_result(jobs).map(|(jobs, _)| jobs)
}

/// What a case speaks of and the policies do not have: that a table is denied would hold of any such
/// name, and under no such agreement is anything given.
fn unknown_names(case: &Case, source: &SourceFile, documents: &Documents) -> Problems {
    let unknown = |name: &Placed<String>| {
        if contract_named(documents, &name.value).is_some() {
            return None;
        }
        let (message, help) = no_contract(documents, &name.value);
        Some(Problem::error(&name.at, source, message).with_help(help))
    };
    let expect = &case.expect;
    let seen = expect.sees.iter().map(|table| &table.name);
    let mut problems: Problems = seen.chain(&expect.denied).filter_map(unknown).collect();
    if let Some(Placed { at, value }) = &case.agreement {
        let ids: Vec<&str> = documents.agreements().map(|one| one.id.as_str()).collect();
        if !ids.contains(&value.as_str()) {
            let problem = Problem::error(at, source, format!("there is no agreement `{value}`"));
            problems.push(match nearest(value, ids) {
                Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
    }
    problems
}

fn by_file(jobs: Vec<Job<'_>>) -> Vec<Vec<Job<'_>>> {
    let mut files: BTreeMap<usize, Vec<Job<'_>>> = BTreeMap::new();
    for job in jobs {
        files.entry(job.place.0).or_default().push(job);
    }
    files.into_values().collect()
}

/// The world of a file with fixtures: the contracts that it speaks of, with their agreements. What
/// has no fixture comes from its source.
async fn with_fixtures(
    bench: &Bench,
    of: &Read,
    documents: &Documents,
    opened: &Fixtures,
) -> Result<World, Problems> {
    let mut fixtures = fixtures(&of.file, &of.folder, documents, &bench.inputs).await?;
    let fixed: BTreeSet<TableName> = fixtures.tables.keys().cloned().collect();
    let documents = documents.only(|contract| {
        fixed.contains(&contract.name)
            || of.file.cases.iter().any(|case| names(case, &contract.name))
    });
    for (name, table) in &opened.tables {
        fixtures
            .tables
            .entry(name.clone())
            .or_insert_with(|| table.clone());
    }
    // A look-up table that no rule here asks need not be there. Any mention of its name will do.
    let asked = |name: &String| {
        let mut files = documents.contracts().flat_map(ContractDocument::files);
        files.any(|file| file.text().to_lowercase().contains(&name.to_lowercase()))
    };
    let mut inputs = bench.inputs.clone();
    inputs.lookups.retain(|name, _| asked(name));
    World::load(bench, documents, fixtures, &inputs).await
}

/// Whether a case may speak of a table; saying yes too often opens a source for nothing.
fn names(case: &Case, table: &TableName) -> bool {
    let name = table.table.to_lowercase();
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let in_sql = case.sql.as_ref().is_some_and(|sql| {
        let sql = sql.to_lowercase();
        let mut words = sql.split(|c| !part(c));
        words.any(|word| word == name) || (!name.chars().all(part) && sql.contains(&name))
    });
    let seen = case.expect.sees.iter().map(|seen| &seen.name.value);
    let mut names = seen.chain(case.expect.denied.iter().map(|name| &name.value));
    in_sql || names.any(|name| is_named(table, name))
}

/// Policies and tables that questions are put to.
struct World {
    documents: Documents,
    fixtures: Fixtures,
    inputs: Inputs,
    loaded: Loaded,
}

impl World {
    async fn load(
        bench: &Bench,
        documents: Documents,
        fixtures: Fixtures,
        inputs: &Inputs,
    ) -> Result<Self, Problems> {
        let loaded = bench.load(documents.clone(), &fixtures, inputs).await?;
        if !loaded.left_out.is_empty() {
            return Err(problems_of(loaded.left_out));
        }
        Ok(Self {
            documents,
            fixtures,
            inputs: inputs.clone(),
            loaded,
        })
    }

    /// Runs the questions that are put to it.
    async fn run(
        self,
        bench: &Bench,
        jobs: Vec<Job<'_>>,
        coverage: Option<&mut Coverage>,
    ) -> Result<Vec<Done>, Failure> {
        let stage = Stage {
            bench,
            policy: Arc::clone(&self.loaded.world.policy),
        };
        let beside = Fixtures {
            tables: self.loaded.world.tables.clone(),
            lookups: self.fixtures.lookups,
        };
        bench.engine.load(self.loaded.world);
        let mut done = asked(&stage, &jobs).await;
        if let Some(coverage) = coverage {
            let touched = done.iter().flat_map(|done| &done.touched);
            touch::count(&stage, coverage, touched).await?;
        }
        let of_inputs: Vec<&Job<'_>> = jobs.iter().filter(|job| asks_inputs(job.case)).collect();
        if !of_inputs.is_empty() {
            let documents = beside_raw(&self.documents);
            let loaded = bench.load(documents, &beside, &self.inputs).await?;
            let stage = Stage {
                bench,
                policy: Arc::clone(&loaded.world.policy),
            };
            bench.engine.load(loaded.world);
            for job in of_inputs {
                let differences = inputs(&stage, job).await;
                let mut done = done.iter_mut();
                if let Some(done) = done.find(|done| done.place == job.place) {
                    done.result.differences.extend(differences);
                }
            }
        }
        Ok(done)
    }
}

fn asks_inputs(case: &Case) -> bool {
    let mut columns = case.expect.sees.iter().flat_map(SeenTable::named);
    columns.any(|(_, column)| column.asks_inputs())
}

/// Puts questions: those of different principals at once, and last those that take others to find
/// out, so that no principal asks twice at once.
async fn asked(stage: &Stage<'_>, jobs: &[Job<'_>]) -> Vec<Done> {
    let (together, alone): (Vec<&Job<'_>>, Vec<_>) = jobs
        .iter()
        .partition(|job| job.case.expect.first_of_others().is_some());
    let mut queues: BTreeMap<&str, Vec<&Job<'_>>> = BTreeMap::new();
    for job in alone {
        let id = job.ask.principal.get().id.as_str();
        queues.entry(id).or_default().push(job);
    }
    let mut running = Vec::new();
    for queue in queues.into_values() {
        running.push(async move {
            let mut done = Vec::with_capacity(queue.len());
            for job in queue {
                done.push(one(stage, job).await);
            }
            done
        });
    }
    let running = stream::iter(running).buffer_unordered(AT_ONCE);
    let done: Vec<Vec<Done>> = running.collect().await;
    let mut done: Vec<Done> = done.into_iter().flatten().collect();
    for job in together {
        done.push(one(stage, job).await);
    }
    done
}

/// Puts one question.
async fn one(stage: &Stage<'_>, job: &Job<'_>) -> Done {
    let started = Instant::now();
    let (case, expect) = (job.case, &job.case.expect);
    let mut differences = Vec::new();
    let mut touched = Vec::new();
    if let Some(sql) = &case.sql {
        match hear(stage.bench, &job.ask, sql).await {
            Ok(heard) => {
                let named = Named {
                    decisions: &heard.decisions,
                    columns: stage.columns_of(&heard.decisions),
                };
                let wrong = check::answer(&heard.answer, expect, &named, &case.location);
                differences.extend(wrong);
                if let Some(expected) = &expect.decision {
                    differences.extend(check::decision(expected, &heard.decisions));
                }
                differences.extend(others(stage, job, sql, &heard).await);
                touched.extend(touch::of(stage, case, sql, &heard));
            }
            Err(why) => differences.push(Difference::new(&case.location, why)),
        }
    }
    if expect.is_of_tables() {
        let look = seen::tables(stage, &job.ask, &expect.sees, &expect.denied).await;
        differences.extend(look.differences);
        touched.extend(look.touched);
    }
    let several = case.personas.len() > 1;
    Done {
        place: job.place,
        result: CaseResult {
            name: case.name.clone(),
            persona: several.then(|| job.persona.to_owned()),
            location: case.location.clone(),
            differences,
            took: started.elapsed(),
        },
        touched,
    }
}

/// Compares an answer with those that other personas get, and with those of another case.
async fn others(stage: &Stage<'_>, job: &Job<'_>, sql: &str, heard: &Heard) -> Vec<Difference> {
    let (Answer::Rows(own), expect) = (&heard.answer, &job.case.expect) else {
        return Vec::new();
    };
    let Some(first) = expect.first_of_others() else {
        return Vec::new();
    };
    if let Some(why) = check::nothing_compared(own, expect) {
        return vec![Difference::new(&first.at, why)];
    }
    let own = match own.text() {
        Ok(own) => own,
        Err(why) => return vec![Difference::new(&job.case.location, why)],
    };
    let mut differences = Vec::new();
    let same = |theirs: &[Row]| match compare::beyond(own, theirs) {
        Some(more) => Some(format!("expected the same rows, only these are {more}")),
        None => Some(format!(
            "expected the same rows, only theirs are {}",
            compare::beyond(theirs, own)?
        )),
    };
    for name in &expect.same_as {
        let wrong = against(stage, job, (job.case, &name.value, sql), &same).await;
        differences.extend(wrong.map(|why| Difference::new(&name.at, why)));
    }
    let differs = |theirs: &[Row]| {
        if !own.iter().flatten().any(Option::is_some) {
            return Some("no row has a value, so nothing was compared".to_owned());
        }
        let common = compare::common(own, theirs)?;
        Some(format!("expected no row of these, got {common} for both"))
    };
    for name in &expect.differs_from {
        let wrong = against(stage, job, (job.case, &name.value, sql), &differs).await;
        differences.extend(wrong.map(|why| Difference::new(&name.at, why)));
    }
    if let Some(Placed { at, value }) = &expect.subset_of {
        let within = |theirs: &[Row]| {
            let beyond = compare::beyond(own, theirs)?;
            Some(format!(
                "expected only rows of the case `{value}`, also got {beyond}"
            ))
        };
        let mut cases = job.of.file.cases.iter();
        let other = cases.find(|case| case.name == *value);
        if let Some((case, sql)) = other.and_then(|case| Some((case, case.sql.as_deref()?))) {
            for name in &case.personas {
                let wrong = against(stage, job, (case, name, sql), &within).await;
                differences.extend(wrong.map(|why| Difference::new(at, why)));
            }
        } else {
            let message = format!("the case `{value}` has no statement");
            differences.push(Difference::new(at, message));
        }
    }
    differences
}

/// What is wrong with the rows that somebody else gets.
async fn against(
    stage: &Stage<'_>,
    job: &Job<'_>,
    (case, name, sql): (&Case, &String, &str),
    wrong: &(dyn Fn(&[Row]) -> Option<String> + Sync),
) -> Option<String> {
    let ask = match other(stage.bench, job, case, name) {
        Ok(ask) => ask,
        Err(problems) => return Some(problems.to_string()),
    };
    let why = match hear(stage.bench, &ask, sql).await {
        Ok(heard) => match heard.answer {
            Answer::Rows(theirs) => theirs.text().map_or_else(Some, wrong),
            Answer::Refused(refusal) => Some(format!("refused: {}", told(&refusal))),
        },
        Err(why) => Some(why),
    };
    why.map(|why| format!("{name}: {why}"))
}

/// Another persona of the file, as it asks a case.
fn other(bench: &Bench, job: &Job<'_>, case: &Case, name: &str) -> Result<Ask, Problems> {
    let personas = &job.of.file.personas;
    // The reader let only known names through.
    let persona = personas.get(name).ok_or_else(Problems::default)?;
    ask(bench, &case.asked(persona), &job.of.source)
}

/// Compares shown values with those that they stand for, in a world that shows both.
async fn inputs(stage: &Stage<'_>, job: &Job<'_>) -> Vec<Difference> {
    let mut differences = Vec::new();
    for table in &job.case.expect.sees {
        let SeenColumns::Some(columns) = &table.columns else {
            continue;
        };
        for (column, expected) in columns.iter().filter(|(_, one)| one.value.asks_inputs()) {
            let names = expected.value.differs_between.iter();
            let others = names.map(|name| other(stage.bench, job, job.case, &name.value));
            let found = match others.collect::<Result<Vec<_>, _>>() {
                Ok(others) => {
                    let name = &table.name.value;
                    seen::inputs(stage, &job.ask, &others, name, (column.as_str(), expected)).await
                }
                Err(problems) => vec![Difference::new(&expected.at, problems.to_string())],
            };
            differences.extend(found);
        }
    }
    differences
}

/// Results by file, in the order of the files and their cases.
fn in_order(files: &[Read], mut done: Vec<Done>) -> Vec<FileResult> {
    done.sort_by_key(|done| done.place);
    let mut results = Vec::new();
    for (number, of) in files.iter().enumerate() {
        let here = done.iter().filter(|done| done.place.0 == number);
        let cases: Vec<CaseResult> = here.map(|done| done.result.clone()).collect();
        if !cases.is_empty() {
            results.push(FileResult {
                path: of.file.path.clone(),
                cases,
            });
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use scrim_model::{Clock, SystemClock};

    use super::{Options, run};
    use crate::demo::data::DataOptions;
    use crate::demo::world::{World, WorldOptions};
    use crate::local::{Bench, read_config};

    #[tokio::test]
    async fn the_demo_keeps_its_owners_promises() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataOptions {
            scale: 0.1,
            ..DataOptions::default()
        };
        let now = SystemClock.now();
        let world = World::create(folder.path(), WorldOptions { data, port: 0 }, now).unwrap();
        let bench = Bench::new(read_config(&world.config(), None).unwrap()).unwrap();
        let options = Options {
            coverage: true,
            ..Options::default()
        };
        let run = run(&bench, options).await.unwrap();
        for file in &run.files {
            for case in &file.cases {
                assert!(case.differences.is_empty(), "{case:#?}");
            }
        }
        let coverage = run.coverage.unwrap();
        let points = coverage.points().into_iter();
        let missing: Vec<_> = points.filter(|point| !point.touched).collect();
        assert!(missing.is_empty(), "{missing:#?}");
    }
}
