//! What the folder of policies says at one moment.

use scrim_document::{Problems, SourceFile};
use scrim_policy::Documents;

use crate::load::{self, Inputs};

/// Begins what stands for the version of a folder that cannot be read.
const UNREADABLE: &str = "unreadable";

/// The policies in the folder, or why they cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    version: String,
    /// The files, with their paths from the folder on.
    pub(crate) files: Result<Vec<SourceFile>, Problems>,
}

impl Found {
    /// Reads the folder.
    pub(crate) async fn read(inputs: &Inputs) -> Self {
        let folder = inputs.policies.clone();
        let read = load::aside(inputs, move || {
            let files = load::policy_files(&folder)?;
            let files = files.iter().map(|file| load::from_folder(&folder, file));
            Ok(files.collect::<Vec<_>>())
        });
        let files = read.await.and_then(|files| files);
        let version = match &files {
            Ok(files) => Documents::version_of(files),
            Err(problems) => {
                let why = load::sha256(&problems.to_string());
                format!("{UNREADABLE}-{why}")
            }
        };
        Self { version, files }
    }

    /// Their version, or for each reason why there is none another word.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Their version, if they could be read.
    pub(crate) fn known_version(&self) -> Option<String> {
        self.files.is_ok().then(|| self.version.clone())
    }
}
