//! `scrim policy reload`, `history`, `show` and `rollback`: the versions that are and were in force.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use scrim_document::SourceFile;
use scrim_ledger::{Damage, FILE_NAME, Load, LoadCause, loads};
use scrim_server::Config;
use scrim_server::admin::{LoadReply, PolicyStatus};
use scrim_server::store::PolicyStore;

use crate::admin::{Admin, ServerArgs};
use crate::cli::{PolicyHistory, PolicyRollback, PolicyShow};
use crate::out::Out;
use crate::outcome::Failure;
use crate::render::text;

/// Characters of a version that people are shown.
const VERSION_CHARS: usize = 12;

/// The beginning of a version.
pub(crate) fn short(version: &str) -> &str {
    version.get(..VERSION_CHARS).unwrap_or(version)
}

/// An instant as people read it.
pub(crate) fn when(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%d %H:%M:%S")
}

/// What caused a load, and who.
pub(crate) fn why(cause: LoadCause, by: Option<&str>) -> String {
    match by {
        Some(by) => format!("{cause} by {}", text::printable(by)),
        None => cause.to_string(),
    }
}

/// Has a server put in force what its folder says.
pub(crate) async fn reload(server: &ServerArgs, out: &mut Out) -> Result<(), Failure> {
    let reply = Admin::connect(server).await?.reload().await?;
    report(reply, out)
}

/// Has a server put an earlier version in force.
pub(crate) async fn roll_back(arguments: &PolicyRollback, out: &mut Out) -> Result<(), Failure> {
    let mut admin = Admin::connect(&arguments.server).await?;
    report(admin.roll_back(&arguments.version).await?, out)
}

fn report(reply: LoadReply, out: &mut Out) -> Result<(), Failure> {
    match reply {
        LoadReply::Loaded(policies) => {
            let PolicyStatus {
                version,
                folder,
                tables,
                left_out,
                ..
            } = &policies;
            let left_out = match left_out.len() {
                0 => String::new(),
                count => format!(", {count} left out"),
            };
            out.line(format_args!(
                "in force: {version} ({} tables{left_out})",
                tables.len()
            ))?;
            if let Some(folder) = folder {
                let folder = short(folder);
                out.line(format_args!(
                    "the folder of policies says {folder}, which comes into force when it changes"
                ))?;
            }
            Ok(())
        }
        LoadReply::Refused(refused) => {
            out.remark("scrim: refused; what was in force stays");
            for problem in &refused.problems {
                out.remark(text::printable(problem));
            }
            Err(Failure::Reported)
        }
    }
}

/// Lists what was loaded and what was refused, as it is read: a ledger can hold many large sets.
pub(crate) fn history(arguments: &PolicyHistory, out: &mut Out) -> Result<(), Failure> {
    let path = Config::load(&arguments.config)?.ledger.join(FILE_NAME);
    let damaged = |damage: Damage| Failure::Failed(format!("{}: {damage}", path.display()));
    let mut before: Option<Load> = None;
    let mut last = Told::default();
    for load in loads(&path).map_err(damaged)? {
        let load = load.map_err(damaged)?;
        if arguments.json {
            let line = serde_json::to_string(&load).map_err(|error| Failure::failed(&error))?;
            writeln!(out.results(), "{line}")?;
            continue;
        }
        let told = Told::of(&load, before.as_ref());
        if load.problems.is_some() {
            last.below.extend(told.lines());
            continue;
        }
        last.write("", out)?;
        (last, before) = (told, Some(load));
    }
    let in_force = before.map_or("", |_| "  (in force)");
    last.write(in_force, out)?;
    Ok(out.results().flush()?)
}

/// A load as it is told, and the refused ones after it. Only the next load shows whether it is in
/// force.
#[derive(Debug, Default)]
struct Told {
    line: String,
    below: Vec<String>,
}

impl Told {
    fn of(load: &Load, before: Option<&Load>) -> Self {
        let version = load.version.as_deref().map_or("unreadable", short);
        let cause = match load.cause {
            Some(cause) => why(cause, load.by.as_deref()),
            None => "loaded".to_owned(),
        };
        let line = format!("{}  {version:<VERSION_CHARS$}  {cause}", when(load.at));
        let indented = |line: &str| format!("    {}", text::printable(line));
        if let Some(problems) = &load.problems {
            return Self {
                line: line + "  refused",
                below: problems.lines().map(indented).collect(),
            };
        }
        let mut line = format!("{line}  {} files", load.files.len());
        let mut below = Vec::new();
        if let Some(before) = before {
            let changed = changes(before, load);
            line = format!("{line}, {} changed", changed.len());
            below.extend(changed.iter().map(|change| indented(change)));
        }
        if let Some(folder) = &load.folder {
            line = format!("{line}, instead of {} in the folder", short(folder));
        }
        Self { line, below }
    }

    fn lines(self) -> impl Iterator<Item = String> {
        std::iter::once(self.line).chain(self.below)
    }

    fn write(&self, in_force: &str, out: &mut Out) -> Result<(), Failure> {
        let to = out.results();
        if !self.line.is_empty() {
            writeln!(to, "{}{in_force}", self.line)?;
        }
        for line in &self.below {
            writeln!(to, "{line}")?;
        }
        Ok(())
    }
}

/// The files by which a version differs from the one before.
fn changes(before: &Load, load: &Load) -> Vec<String> {
    fn files(load: &Load) -> BTreeMap<&str, &str> {
        let files = load.files.iter();
        files
            .map(|(path, hash)| (path.as_str(), hash.as_str()))
            .collect()
    }
    let (old, new) = (files(before), files(load));
    let mut changed = Vec::new();
    for (path, hash) in &new {
        match old.get(path) {
            None => changed.push(format!("+ {path}")),
            Some(other) if other != hash => changed.push(format!("~ {path}")),
            Some(_) => {}
        }
    }
    let gone = old.keys().filter(|path| !new.contains_key(*path));
    changed.extend(gone.map(|path| format!("- {path}")));
    changed
}

/// Prints the files of a version.
pub(crate) fn show(arguments: &PolicyShow, out: &mut Out) -> Result<(), Failure> {
    let config = Config::load(&arguments.config)?;
    let store = PolicyStore::open(&config.ledger);
    let failed = |error| Failure::failed(&error);
    let version = store.find(&arguments.version).map_err(failed)?;
    let files = store.get(&version).map_err(failed)?;
    if let Some(wanted) = &arguments.file {
        let file = files.iter().find(|file| file.path() == wanted);
        let file = file.ok_or_else(|| {
            let paths: Vec<&str> = files.iter().map(SourceFile::path).collect();
            Failure::Usage(format!(
                "version {} has no file `{wanted}`, but {}",
                short(&version),
                paths.join(", ")
            ))
        })?;
        out.results().write_all(file.text().as_bytes())?;
        return Ok(out.results().flush()?);
    }
    let to = out.results();
    writeln!(to, "# version {version}")?;
    for file in &files {
        writeln!(to, "\n# {}", file.path())?;
        to.write_all(file.text().as_bytes())?;
        if !file.text().ends_with('\n') {
            writeln!(to)?;
        }
    }
    Ok(to.flush()?)
}
