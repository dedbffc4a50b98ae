//! `scrim policy diff` and `scrim policy drift`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use scrim_model::RevocationScope;
use scrim_server::Config;

use super::revoke::subject;
use crate::admin::{Admin, ServerArgs};
use crate::cli::{DiffArgs, FailOn, PolicyDiff, PolicyDrift, SideArgs};
use crate::compare::{Options, Report, Side, compare};
use crate::local::{find_config, read_config};
use crate::out::Out;
use crate::outcome::Failure;

/// Tells what changes between two states of the policies.
pub(crate) async fn diff(arguments: &PolicyDiff, out: &mut Out) -> Result<(), Failure> {
    let named = [arguments.old.as_str(), arguments.new.as_str()];
    check_password(&arguments.sides, &named)?;
    let (config, path) = configuration(&arguments.sides, &named)?;
    let finder = Finder {
        arguments: &arguments.sides,
        config: path,
        policies: config.policies.clone(),
    };
    let old = finder.side(&arguments.old).await?;
    let new = finder.side(&arguments.new).await?;
    let report = compare(config, (&old, &new), &options(&arguments.shown)).await?;
    print(&report, &arguments.shown, out)?;
    let fails = match arguments.fail_on {
        None => false,
        Some(FailOn::Widen) => report.width().widens(),
        Some(FailOn::Any) => !report.difference.tables.is_empty(),
    };
    if fails { Err(Failure::Differs) } else { Ok(()) }
}

/// Tells whether two sides have the same policies in force: by their versions, and if these differ,
/// by what that means.
pub(crate) async fn drift(arguments: &PolicyDrift, out: &mut Out) -> Result<(), Failure> {
    let dir = arguments.dir.as_ref().map(|dir| dir.display().to_string());
    let mut named: Vec<&str> = arguments.servers.iter().map(String::as_str).collect();
    named.extend(dir.as_deref());
    check_password(&arguments.sides, &named)?;
    let (config, path) = configuration(&arguments.sides, &named)?;
    let policies = config.policies.clone();
    let own = policies.display().to_string();
    if named.len() == 1 {
        named.push(&own);
    }
    let [one, other] = named.as_slice() else {
        let message = "give two servers, or one and a folder";
        return Err(Failure::Usage(message.to_owned()));
    };
    let finder = Finder {
        arguments: &arguments.sides,
        config: path,
        policies: policies.clone(),
    };
    if let Some(named) = arguments.servers.iter().find(|named| !is_server(named)) {
        return Err(Failure::Usage(format!(
            "`{named}` is no server: give its address as grpc://HOST:PORT, or the scrim.yaml that it \
             runs under"
        )));
    }
    let (one, other) = (finder.side(one).await?, finder.side(other).await?);
    let mut report = compare(config, (&one, &other), &options(&arguments.shown)).await?;
    let taken = [
        finder.taken_back(&one).await?,
        finder.taken_back(&other).await?,
    ];
    let remarks = taken_by_one([one.name(), other.name()], &taken);
    let same = report.difference.old == report.difference.new;
    let drifts = !same || !remarks.is_empty();
    report.remarks.extend(remarks);
    if drifts || arguments.shown.json {
        print(&report, &arguments.shown, out)?;
    } else {
        let version = &report.difference.new;
        out.line(format_args!(
            "no drift: both have version {version} in force"
        ))?;
    }
    if drifts {
        Err(Failure::Differs)
    } else {
        Ok(())
    }
}

/// What only one side has taken back, whatever its policies say.
fn taken_by_one(names: [&str; 2], [one, other]: &[BTreeSet<String>; 2]) -> Vec<String> {
    let [name, other_name] = names;
    let sides = [(name, one, other), (other_name, other, one)];
    let remarks = sides.into_iter().filter_map(|(name, these, those)| {
        let only: Vec<&str> = these.difference(those).map(String::as_str).collect();
        let only = only.join(", ");
        (!only.is_empty()).then(|| format!("only {name} has taken access back: {only}"))
    });
    remarks.collect()
}

fn options(arguments: &DiffArgs) -> Options {
    Options {
        count: arguments.count,
        table: arguments.table.clone(),
        organisation: arguments.org.clone(),
    }
}

fn print(report: &Report, arguments: &DiffArgs, out: &mut Out) -> Result<(), Failure> {
    let text = if arguments.json {
        serde_json::to_string_pretty(&report.json()).map_err(|error| Failure::failed(&error))?
    } else if arguments.markdown {
        report.markdown()
    } else {
        report.text()
    };
    Ok(out.line(text.trim_end())?)
}

/// The configuration for both sides: the given one, else one at a folder that is compared, else the
/// one in the current folder.
fn configuration(arguments: &SideArgs, sides: &[&str]) -> Result<(Config, PathBuf), Failure> {
    let paths = sides.iter().map(Path::new);
    let given = arguments.config.clone();
    let own = paths.clone().find(|path| is_configuration(path));
    let at_folder = || {
        let mut folders = paths.clone().filter(|path| path.is_dir());
        folders.find_map(|folder| find_config(Some(folder), None).ok())
    };
    let path = given
        .or_else(|| own.map(Path::to_owned))
        .or_else(at_folder)
        .unwrap_or_else(|| PathBuf::from("scrim.yaml"));
    if !path.is_file() {
        return Err(Failure::Usage(format!(
            "there is no {}: add --config FILE, which names sources, look-ups and networks",
            path.display()
        )));
    }
    Ok((read_config(&path, None)?, path))
}

fn is_configuration(path: &Path) -> bool {
    let yaml = path
        .extension()
        .is_some_and(|end| end == "yaml" || end == "yml");
    yaml && path.is_file()
}

fn is_server(named: &str) -> bool {
    is_address(named) || is_configuration(Path::new(named))
}

fn is_address(named: &str) -> bool {
    named.starts_with("grpc://") || named.starts_with("grpc+tls://")
}

/// Says of which server something is.
fn of_server(named: &str, failure: Failure) -> Failure {
    let of = |message: String| {
        if message.contains(named) {
            message
        } else {
            format!("{named}: {message}")
        }
    };
    match failure {
        Failure::Usage(message) => Failure::Usage(of(message)),
        Failure::Failed(message) => Failure::Failed(of(message)),
        other @ (Failure::Problems(_) | Failure::Reported | Failure::Differs | Failure::Closed) => {
            other
        }
    }
}

/// Standard input holds a password for one server.
fn check_password(arguments: &SideArgs, sides: &[&str]) -> Result<(), Failure> {
    let servers = sides.iter().filter(|side| is_address(side)).count();
    let from_input = arguments.password_file.as_deref() == Some(Path::new("-"));
    if from_input && servers > 1 {
        let message = "standard input holds the password for one server, and there are two: give \
                       --password-file a file";
        return Err(Failure::Usage(message.to_owned()));
    }
    Ok(())
}

/// Finds sides.
struct Finder<'a> {
    arguments: &'a SideArgs,
    config: PathBuf,
    policies: PathBuf,
}

impl Finder<'_> {
    async fn side(&self, named: &str) -> Result<Side, Failure> {
        let path = Path::new(named);
        if is_address(named) {
            let url = Some(named.to_owned());
            let side = self.server(named, &self.config, url).await;
            return side.map_err(|failure| of_server(named, failure));
        }
        if is_configuration(path) {
            if self.arguments.user.is_some() {
                return Err(Failure::Usage(format!(
                    "to sign in with --user, give the server of {named} by its address, \
                     grpc://HOST:PORT"
                )));
            }
            let side = self.server(named, path, None).await;
            return side.map_err(|failure| of_server(named, failure));
        }
        if path.is_dir() {
            return Ok(Side::of_folder(path));
        }
        Side::of_revision(named, &self.policies)
    }

    /// The access that was taken back on a side, if it is a server. A session is one server's anyway.
    async fn taken_back(&self, side: &Side) -> Result<BTreeSet<String>, Failure> {
        let named = side.name();
        let (config, url) = if is_address(named) {
            (self.config.as_path(), Some(named.to_owned()))
        } else if is_configuration(Path::new(named)) {
            (Path::new(named), None)
        } else {
            return Ok(BTreeSet::new());
        };
        let server = Admin::connect(&self.server_at(config, url)).await;
        let status = server?.status().await?;
        let taken = status.revocations.iter();
        let taken = taken.filter(|one| one.scope != RevocationScope::Session);
        Ok(taken.map(subject).collect())
    }

    /// The policies that a running server has in force.
    async fn server(
        &self,
        named: &str,
        config: &Path,
        url: Option<String>,
    ) -> Result<Side, Failure> {
        let server = self.server_at(config, url);
        let reply = Admin::connect(&server).await?.documents().await?;
        let files = reply.files.into_iter().map(|file| (file.path, file.text));
        Side::of_files(named, &files.collect::<Vec<_>>())
    }

    fn server_at(&self, config: &Path, url: Option<String>) -> ServerArgs {
        ServerArgs {
            config: config.to_owned(),
            url,
            user: self.arguments.user.clone(),
            password_file: self.arguments.password_file.clone(),
            tls: self.arguments.tls.clone(),
        }
    }
}
