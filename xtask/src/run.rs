//! Running a command while reading along.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use crate::tally::{Runner, Tally};

/// Runs a command, passes its output through line by line and counts the tests it reports.
pub(crate) fn counted(command: &mut Command) -> Result<Tally, String> {
    let shown = shown(command);
    if std::io::stdout().is_terminal() {
        // Through our pipe, the runners would think that nobody looks.
        command
            .env("CARGO_TERM_COLOR", "always")
            .env("PY_COLORS", "1");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start {shown}: {e}"))?;
    let (lines, tally) = mpsc::channel::<String>();
    let readers = [
        child
            .stdout
            .take()
            .map(|stream| reader(stream, std::io::stdout(), lines.clone())),
        child
            .stderr
            .take()
            .map(|stream| reader(stream, std::io::stderr(), lines)),
    ];
    let runner = Runner::of(shown.split(' '));
    let mut counted = Tally::default();
    for line in tally {
        counted.read(runner, &line);
    }
    for thread in readers.into_iter().flatten() {
        thread
            .join()
            .map_err(|_| format!("lost the output of {shown}"))?;
    }
    let status = child
        .wait()
        .map_err(|e| format!("cannot wait for {shown}: {e}"))?;
    counted.command_failed = !status.success();
    Ok(counted)
}

/// Runs a command that reports no tests.
pub(crate) fn plain(command: &mut Command) -> Result<(), String> {
    let shown = shown(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|e| format!("cannot start {shown}: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{shown} failed ({status})"))
    }
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(&program)
        .to_owned();
    let arguments = command.get_args().map(|a| a.to_string_lossy().into_owned());
    std::iter::once(program)
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

fn reader(
    stream: impl Read + Send + 'static,
    mut through: impl Write + Send + 'static,
    lines: mpsc::Sender<String>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            // A closed terminal must not stop the tests: their result is the exit code.
            let shown = through.write_all(&line).and_then(|()| through.flush());
            let counted = lines.send(String::from_utf8_lossy(&line).into_owned());
            if shown.is_err() && counted.is_err() {
                return;
            }
            line.clear();
        }
    })
}
