//! `scrim demo`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scrim_model::{Clock, Context, Principal, Secret, SessionSettings, SystemClock, TableName};
use scrim_server::{Config, Running, Server};
use tempfile::TempDir;

use super::runtime;
use super::serve::{PATIENCE, Stop};
use crate::cli::Demo;
use crate::client::{Client, ClientError, Statements, TlsArgs};
use crate::demo::data::DataOptions;
use crate::demo::scenes::{SCENES, SHOWN, Scene};
use crate::demo::show::{Got, side_by_side};
use crate::demo::why;
use crate::demo::world::{PASSWORD, Persona, World, WorldOptions, persona};
use crate::local::Local;
use crate::out::Out;
use crate::outcome::Failure;
use crate::render::text::wrap;

/// Makes the world, shows it, and serves it on.
pub(crate) fn run(arguments: &Demo, out: &mut Out) -> Result<(), Failure> {
    let started = Instant::now();
    let place = Place::new(arguments.keep.as_deref())?;
    let options = WorldOptions {
        data: DataOptions::default(),
        port: free_port(arguments.port, out),
    };
    let world = World::create(place.path(), options, SystemClock.now())
        .map_err(|error| Failure::failed(&error))?;
    let made = started.elapsed();
    runtime()?.block_on(async {
        let config = Config::load(&world.config())?;
        let mut stop = Stop::new()?;
        let running = Server::start(config.clone(), Arc::new(SystemClock)).await?;
        let shown = tokio::select! {
            shown = show(&world, config, &running, made, out) => shown.map(|()| true),
            () = stop.wait() => Ok(false),
        };
        if matches!(shown, Ok(true)) && !arguments.once {
            invite(&world, running.address(), out)?;
            stop.wait().await;
        }
        running.shutdown(PATIENCE).await?;
        shown.map(|_| ())
    })
}

/// Where the world lies: a folder that goes away with the demo, or one that stays.
enum Place {
    Temporary(TempDir),
    Kept(std::path::PathBuf),
}

impl Place {
    fn new(keep: Option<&Path>) -> Result<Self, Failure> {
        let Some(keep) = keep else {
            return Ok(Self::Temporary(tempfile::tempdir()?));
        };
        let unusable = |error: std::io::Error| {
            Failure::Usage(format!("cannot use the folder {}: {error}", keep.display()))
        };
        std::fs::create_dir_all(keep).map_err(unusable)?;
        if std::fs::read_dir(keep).map_err(unusable)?.next().is_some() {
            return Err(Failure::Usage(format!(
                "{} is not empty: name a new folder",
                keep.display()
            )));
        }
        Ok(Self::Kept(keep.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }
}

/// The wanted port, or any when somebody has it already.
fn free_port(wanted: u16, out: &mut Out) -> u16 {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)) {
        Ok(_) => wanted,
        Err(error) => {
            out.remark(format_args!(
                "port {wanted} cannot be had ({error}); taking a free one"
            ));
            0
        }
    }
}

async fn show(
    world: &World,
    config: Config,
    running: &Running,
    made: Duration,
    out: &mut Out,
) -> Result<(), Failure> {
    let size = world.size();
    out.line(format_args!(
        "Three organisations, {} rows (made in {:.1} s), served on {}:",
        size.total(),
        made.as_secs_f64(),
        running.address()
    ))?;
    out.line("  northgate  a hospital, owner of care.patients and care.visits")?;
    out.line("  harbor     an insurer, owner of insurance.claims")?;
    out.line("  meridian   a research institute")?;
    let people: Vec<&Persona> = SHOWN.iter().filter_map(|id| persona(id)).collect();
    let mut clients = Vec::new();
    for person in &people {
        clients.push(sign_in(running.address(), person).await?);
    }
    let heads: Vec<[String; 2]> = people
        .iter()
        .map(|person| {
            [
                format!("{} · {}", person.id, person.org),
                format!("for {}", person.purpose),
            ]
        })
        .collect();
    for (index, scene) in SCENES.iter().enumerate() {
        let mut got = Vec::new();
        for client in &mut clients {
            got.push(ask(client, scene.sql).await?);
        }
        print_scene(index + 1, scene, &heads, &got, out)?;
    }
    explain(config, &people, out).await
}

async fn sign_in(address: SocketAddr, person: &Persona) -> Result<Client, ClientError> {
    let statements = Statements {
        purpose: Some(person.purpose.to_owned()),
        agreement: None,
    };
    let password = Secret::new(PASSWORD.to_owned());
    Client::sign_in(
        &format!("grpc://{address}"),
        &TlsArgs::default(),
        person.id,
        &password,
        &statements,
    )
    .await
}

/// A refusal is an answer here; anything else that goes wrong is not.
async fn ask(client: &mut Client, sql: &str) -> Result<Got, Failure> {
    match fetch(client, sql).await {
        Ok(got) => Ok(got),
        Err(ClientError::Refused(status)) => Ok(Got::Refused(without_query_id(status.message()))),
        Err(error) => Err(Failure::from(error)),
    }
}

async fn fetch(client: &mut Client, sql: &str) -> Result<Got, ClientError> {
    let mut answer = client.ask(sql).await?;
    let names: Vec<String> = answer
        .schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let mut batches = Vec::new();
    while let Some(batch) = answer.next().await? {
        batches.push(batch);
    }
    Got::of(&batches, &names).map_err(|error| ClientError::Protocol(error.into()))
}

fn without_query_id(message: &str) -> String {
    message
        .split(" (query ")
        .next()
        .unwrap_or(message)
        .to_owned()
}

fn print_scene(
    number: usize,
    scene: &Scene,
    heads: &[[String; 2]],
    got: &[Got],
    out: &mut Out,
) -> Result<(), Failure> {
    out.line(format_args!("\n{number}  {}", scene.title))?;
    for line in wrap(scene.sql, 94) {
        out.line(format_args!("   {line}"))?;
    }
    out.line("")?;
    for line in side_by_side(heads, got) {
        out.line(line)?;
    }
    out.line("")?;
    for line in wrap(scene.remark, 94) {
        out.line(format_args!("   {line}"))?;
    }
    Ok(())
}

/// The decisions behind the answers, from the same files, in this process.
async fn explain(config: Config, people: &[&Persona], out: &mut Out) -> Result<(), Failure> {
    let local = Local::open(config).await?;
    out.line("\nWhy")?;
    for person in people {
        out.line(format_args!(
            "{}, {}, for {}",
            person.id, person.title, person.purpose
        ))?;
        let principal = principal(person);
        let mut context = Context::at(SystemClock.now());
        context.ip = Some(Ipv4Addr::LOCALHOST.into());
        context.networks = local.config.networks.containing(Ipv4Addr::LOCALHOST.into());
        let settings = SessionSettings {
            purpose: Some(person.purpose.to_owned()),
            ..SessionSettings::default()
        };
        for (schema, table) in [("care", "patients"), ("insurance", "claims")] {
            let name = TableName::new(schema, table);
            let Some(table) = local.policy.table(&name) else {
                continue;
            };
            let decision = local.policy.decide(&principal, &context, &settings, &name);
            for line in why::lines(&decision, table) {
                out.line(line)?;
            }
        }
    }
    Ok(())
}

fn principal(person: &Persona) -> Principal {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Principal {
        id: person.id.to_owned(),
        org: person.org.to_owned(),
        groups: words(person.groups),
        roles: Vec::new(),
        kind: person.kind,
        acr: None,
        authenticated_at: None,
        on_behalf_of: None,
        attributes: person
            .clearance
            .map(|level| ("clearance".to_owned(), scrim_model::Value::Int64(level)))
            .into_iter()
            .collect(),
    }
}

fn invite(world: &World, address: SocketAddr, out: &mut Out) -> Result<(), Failure> {
    let root = world.root().display();
    out.line(format_args!(
        "
Try it yourself. Everybody's password is \"{PASSWORD}\".

  From Python (pip install adbc-driver-flightsql pyarrow):

    import adbc_driver_flightsql.dbapi as flightsql
    connection = flightsql.connect(\"grpc://{address}\", db_kwargs={{
        \"username\": \"ivan\", \"password\": \"{PASSWORD}\",
        \"adbc.flight.sql.rpc.call_header.x-scrim-purpose\": \"fraud-analytics\",
    }})
    cursor = connection.cursor()
    cursor.execute(\"SELECT * FROM care.patients LIMIT 5\")
    print(cursor.fetch_arrow_table())

  From a shell:

    echo {PASSWORD} | scrim query --url grpc://{address} --user rhea --password-file - \\
      --purpose research \"SELECT icd10, count(*) FROM care.visits GROUP BY icd10\"
    scrim explain --config {root}/scrim.yaml --as rhea --purpose research \\
      \"SELECT * FROM care.patients\"
    scrim policy test {root}/policies
    scrim ledger show {root}/ledger

Serving on {address}; stop with Ctrl-C."
    ))?;
    Ok(())
}
