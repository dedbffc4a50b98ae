//! `scrim query`.

use std::io::Read;
use std::time::Duration;

use tokio::time::Instant;

use super::{read_password, runtime};
use crate::cli::Query;
use crate::client::{Answer, Client, ClientError, Statements};
use crate::out::Out;
use crate::outcome::Failure;
use crate::render::{RenderError, Renderer};

/// A result that takes longer than this gets a progress line.
const PROGRESS_AFTER: Duration = Duration::from_millis(700);
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Asks a server and prints the answer as it arrives.
pub(crate) fn run(arguments: &Query, out: &mut Out) -> Result<(), Failure> {
    if arguments.sql == "-" && arguments.password_file.as_os_str() == "-" {
        let message = "the password and the statement cannot both come from standard input";
        return Err(Failure::Usage(message.to_owned()));
    }
    let password = read_password(&arguments.password_file)?;
    let sql = statement(&arguments.sql)?;
    runtime()?.block_on(async {
        let statements = Statements {
            purpose: arguments.purpose.clone(),
            agreement: arguments.agreement.clone(),
        };
        let Query { url, tls, user, .. } = arguments;
        let mut client = Client::sign_in(url, tls, user, &password, &statements).await?;
        let answer = client.ask(&sql).await?;
        print(answer, arguments, out).await
    })
}

fn statement(argument: &str) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut sql = String::new();
    std::io::stdin()
        .lock()
        .read_to_string(&mut sql)
        .map_err(|error| Failure::Usage(format!("cannot read the statement: {error}")))?;
    Ok(sql)
}

async fn print(mut answer: Answer, arguments: &Query, out: &mut Out) -> Result<(), Failure> {
    let mut renderer = Renderer::new(arguments.format, &answer.schema)?;
    let mut progress = Progress::start();
    let end = loop {
        let Ok(next) = tokio::time::timeout(PROGRESS_EVERY, answer.next()).await else {
            progress.show(out);
            continue;
        };
        match next {
            Ok(Some(batch)) => {
                progress.count(batch.num_rows(), batch.get_array_memory_size());
                progress.show(out);
                if let Err(error) = renderer.batch(&batch, out.results()) {
                    break Err(Failure::from(error));
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(Failure::from(error)),
        }
    };
    out.end_progress();
    // rows that came before an error are printed; the exit code says that they are not all
    let finished = renderer.finish(out.results());
    end?;
    Ok(finished?)
}

struct Progress {
    started: Instant,
    shown: Instant,
    rows: u64,
    bytes: u64,
}

impl Progress {
    fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            shown: now,
            rows: 0,
            bytes: 0,
        }
    }

    fn count(&mut self, rows: usize, bytes: usize) {
        self.rows += rows as u64;
        self.bytes += bytes as u64;
    }

    fn show(&mut self, out: &mut Out) {
        let now = Instant::now();
        if now - self.started < PROGRESS_AFTER || now - self.shown < PROGRESS_EVERY {
            return;
        }
        self.shown = now;
        let seconds = (now - self.started).as_secs_f64();
        let megabytes = self.bytes as f64 / 1e6;
        out.progress(format_args!(
            "{} rows, {megabytes:.1} MB, {seconds:.0} s",
            self.rows
        ));
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        if error.is_usage() {
            Self::usage(&error)
        } else {
            Self::failed(&error)
        }
    }
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Io(error) => Self::from(error),
            RenderError::Arrow(_) => Self::failed(&error),
        }
    }
}
