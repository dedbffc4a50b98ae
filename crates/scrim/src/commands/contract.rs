//! `scrim contract …`, and `new` of it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use scrim_model::Secret;
use scrim_policy::{FileFormat, ServerKind, TableVersion};
use scrim_server::Config;
use scrim_sources::{
    Credential, Credentials, Sample, Sampler, SourceError, SourceSettings, Sources,
};

use super::runtime;
use crate::cli::{Contract, NewContract};
use crate::draft::Draft;
use crate::draft::source::{Said, Source};
use crate::out::Out;
use crate::outcome::Failure;

/// Rows that are looked at: enough to know a column by, few enough to be quick.
const ROWS: usize = 5_000;

/// Drafts a contract, or does what else there is to do with one.
pub(crate) fn run(command: &Contract, out: &mut Out) -> Result<(), Failure> {
    match command {
        Contract::New(arguments) => runtime()?.block_on(new(arguments, out)),
        Contract::Schema(arguments) => super::schema::run(arguments, out),
        Contract::Split(contract) => super::terse::split(&contract.file, out),
        Contract::Join(contract) => super::terse::join(&contract.file, out),
    }
}

async fn new(arguments: &NewContract, out: &mut Out) -> Result<(), Failure> {
    if let Some(path) = &arguments.out
        && path.exists()
        && !arguments.force
    {
        return Err(in_the_way(path));
    }
    let config = arguments.config.as_deref().map(Config::load).transpose()?;
    let base = config
        .as_ref()
        .map_or(Path::new("."), |config| &config.base_dir);
    let source = Source::parse(&arguments.from, base, &said(arguments)).map_err(Failure::Usage)?;
    let (credentials, name) = credentials(arguments, config.as_ref(), &source)?;
    let settings = config
        .as_ref()
        .map_or_else(SourceSettings::default, |config| config.sources);
    let sources = Sources::new(base.to_owned(), credentials, settings);
    let sources = sources.with_environment(std::env::vars_os());
    let (source, sample) = look(source, name.as_deref(), sources).await?;
    if sample.columns.is_empty() {
        return Err(Failure::Failed("the table has no columns".to_owned()));
    }
    let draft = Draft {
        source: &source,
        environment: config
            .as_ref()
            .and_then(|config| config.environment.as_deref()),
        credentials: name.as_deref(),
        sample: &sample,
    };
    let text = draft.write().map_err(|error| Failure::failed(&error))?;
    if let Some(name) = name.filter(|_| arguments.credentials.is_none()) {
        out.remark(format_args!(
            "scrim: the contract calls its credentials `{name}`: add user and password under that \
             name to the secrets file"
        ));
    }
    match &arguments.out {
        None => Ok(out.results().write_all(text.as_bytes())?),
        Some(path) => save(path, &text, arguments.force, out),
    }
}

fn said(arguments: &NewContract) -> Said {
    Said {
        table: arguments.table.clone(),
        schema: arguments.schema.clone(),
        format: arguments.format.map(FileFormat::from),
        endpoint_url: arguments.endpoint_url.clone(),
        region: arguments.region.clone(),
    }
}

/// Credentials, and the name that the contract calls them by. Those with a name are the secrets
/// file's and the environment's, as a server has them; a database may also be asked as its own
/// tools are.
fn credentials(
    arguments: &NewContract,
    config: Option<&Config>,
    source: &Source,
) -> Result<(Credentials, Option<String>), Failure> {
    if let Some(name) = &arguments.credentials {
        let file = config.and_then(|config| config.secrets.as_deref());
        let all = scrim_server::config::credentials(file, std::env::vars_os())?;
        return Ok((all, Some(name.clone())));
    }
    let ServerKind::Postgres(server) = &source.kind else {
        return Ok((Credentials::default(), None));
    };
    let user = source.user.clone().or_else(|| variable("PGUSER"));
    let (Some(user), Some(password)) = (user, variable("PGPASSWORD")) else {
        let help = "say who asks, as postgres://USER@HOST/DATABASE or PGUSER, and set PGPASSWORD; \
                    or name credentials with --credentials";
        return Err(Failure::Usage(help.to_owned()));
    };
    let fields = [("user", user), ("password", password)];
    let fields = fields.map(|(field, value)| (field.to_owned(), Secret::new(value)));
    let name = server.database.clone();
    let named = [(name.clone(), Credential::new(fields))];
    Ok((Credentials::new(named), Some(name)))
}

fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.into_string().ok()?;
    Some(value).filter(|value| !value.is_empty())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the owner's tool that looks at rows without a guard"
)]
fn sampler(sources: Sources) -> Sampler {
    Sampler::new(sources)
}

/// Looks at the table. A folder whose format nobody named may be a Delta table, which is made of
/// Parquet files and must not be taken for all of them.
async fn look(
    source: Source,
    credentials: Option<&str>,
    sources: Sources,
) -> Result<(Source, Sample), Failure> {
    let sampler = sampler(sources);
    let sample = async |source: &Source| {
        sampler
            .sample(&source.kind, credentials, &source.table, ROWS)
            .await
    };
    if source.guessed {
        let delta = source.with_format(FileFormat::Delta(TableVersion::Latest));
        if let Ok(found) = sample(&delta).await {
            return Ok((delta, found));
        }
    }
    match sample(&source).await {
        Ok(found) => Ok((source, found)),
        Err(error @ SourceError::Missing(_)) if source.guessed => Err(Failure::Failed(format!(
            "{error}; files other than Parquet are named with --format"
        ))),
        Err(error) => Err(Failure::failed(&error)),
    }
}

fn save(path: &Path, text: &str, force: bool, out: &mut Out) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => in_the_way(path),
        _ => Failure::Failed(format!("cannot write {}: {error}", path.display())),
    })?;
    out.line(format_args!(
        "{}: drafted; read every column, then show what may be seen in a profile",
        path.display()
    ))?;
    Ok(())
}

fn in_the_way(path: &Path) -> Failure {
    Failure::Usage(format!(
        "{} exists; add --force to replace it",
        path.display()
    ))
}
