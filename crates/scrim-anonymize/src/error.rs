//! Why a mask was refused at load.

use thiserror::Error;

/// A mask, or a path, that a policy may not use as written.
///
/// It names the mask, the column and the parameter, never a value of the data.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MaskError {
    /// No mask has this name.
    #[error("there is no mask `{name}`; the masks are {known}")]
    UnknownMask {
        /// The name as written.
        name: String,
        /// All names, comma-separated.
        known: String,
    },
    /// The mask takes no such parameter.
    #[error("mask `{mask}` has no parameter `{parameter}`; {known}")]
    UnknownParameter {
        /// The mask.
        mask: &'static str,
        /// The parameter as written.
        parameter: String,
        /// What it does take, as a sentence.
        known: String,
    },
    /// A parameter without a default is absent.
    #[error("mask `{mask}` needs the parameter `{parameter}`")]
    MissingParameter {
        /// The mask.
        mask: &'static str,
        /// The parameter.
        parameter: &'static str,
    },
    /// A parameter's value cannot be used.
    #[error("mask `{mask}`: `{parameter}` {problem}")]
    BadParameter {
        /// The mask.
        mask: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// The mask cannot keep the type of the column.
    #[error("mask `{mask}` cannot keep the type {data_type} of `{column}`; {works_on}")]
    WrongType {
        /// The mask.
        mask: &'static str,
        /// The column, or the path of the nested field.
        column: String,
        /// Its Arrow type.
        data_type: String,
        /// Which types the mask works on, as a sentence.
        works_on: String,
    },
    /// A parameter does not fit the type of the column.
    #[error("mask `{mask}` on `{column}`: {problem}")]
    Unfit {
        /// The mask.
        mask: &'static str,
        /// The column, or the path of the nested field.
        column: String,
        /// What does not fit and what would.
        problem: String,
    },
    /// A nested path cannot be read or leads nowhere.
    #[error("path `{path}` {problem}")]
    BadPath {
        /// The path as written.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}
