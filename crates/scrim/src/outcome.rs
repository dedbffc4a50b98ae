//! How a command ends when it does not end well.

use std::error::Error;
use std::io;

use scrim_document::Problems;

use crate::out::Out;

/// Why a command did not do what it was asked to, and so its exit code.
#[derive(Debug)]
pub enum Failure {
    /// What was asked for cannot be understood: exit code 2.
    Usage(String),
    /// Files with problems, each with its place: exit code 2.
    Problems(Problems),
    /// It was refused or it failed: exit code 1.
    Failed(String),
    /// It failed and has already said so: exit code 1.
    Reported,
    /// Policies differ more than was allowed, which has been said: exit code 3.
    Differs,
    /// Nobody reads the output any more, which is no failure at all.
    Closed,
}

impl Failure {
    /// A failure with everything that its causes say.
    pub fn failed(error: &dyn Error) -> Self {
        Self::Failed(chain(error))
    }

    /// A mistake in the arguments or the configuration, with everything that its causes say.
    pub fn usage(error: &dyn Error) -> Self {
        Self::Usage(chain(error))
    }

    /// The exit code for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Failed(_) | Self::Reported => 1,
            Self::Usage(_) | Self::Problems(_) => 2,
            Self::Differs => 3,
        }
    }

    /// Why, in one line.
    pub fn text(&self) -> String {
        match self {
            Self::Usage(message) | Self::Failed(message) => message.clone(),
            Self::Problems(problems) => problems.to_string().replace('\n', "; "),
            Self::Reported => "it failed".to_owned(),
            Self::Differs => "policies differ".to_owned(),
            Self::Closed => "nobody reads the output".to_owned(),
        }
    }

    /// Says why.
    pub fn report(&self, out: &mut Out) {
        match self {
            Self::Usage(message) | Self::Failed(message) => {
                out.remark(format_args!("scrim: {message}"));
            }
            Self::Problems(problems) => out.remark(problems.render().trim_end()),
            Self::Reported | Self::Differs | Self::Closed => {}
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // `scrim query … | head` is a fine thing to do
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Closed
        } else {
            Self::failed(&error)
        }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

/// An error and its causes in one line. Some errors tell their cause themselves: it is told once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use scrim_identity::read_key_file;

    use super::chain;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write the result")]
    struct Silent(#[source] io::Error);

    #[test]
    fn every_cause_is_told_once() {
        let error = Silent(io::Error::other("the disk is full"));
        assert_eq!(chain(&error), "cannot write the result: the disk is full");
        let error = read_key_file(Path::new("nowhere/keys.json")).unwrap_err();
        assert_eq!(chain(&error).matches("No such file").count(), 1, "{error}");
    }
}
