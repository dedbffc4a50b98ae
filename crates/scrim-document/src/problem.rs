//! What is wrong in a document, told so that its author can mend it.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};

use crate::{Location, SourceFile};

/// Problems that a report shows with their lines.
const SHOWN_MAX: usize = 100;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The document is used, but its author should look.
    Warning,
    /// The document is not used.
    Error,
}

/// One thing that is wrong in a document: what, where, and what to do.
#[derive(Clone)]
pub struct Problem(Box<Inner>);

#[derive(Clone)]
struct Inner {
    severity: Severity,
    message: String,
    help: Option<String>,
    location: Location,
    /// Characters.
    length: usize,
    file: SourceFile,
}

impl Problem {
    /// Something because of which the document is not used.
    pub fn error(at: &Location, file: &SourceFile, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, at, file, message.into())
    }

    /// Something that the author should look at.
    pub fn warning(at: &Location, file: &SourceFile, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, at, file, message.into())
    }

    fn new(severity: Severity, at: &Location, file: &SourceFile, message: String) -> Self {
        Self(Box::new(Inner {
            severity,
            message,
            help: None,
            location: at.clone(),
            length: 0,
            file: file.clone(),
        }))
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Says how many characters of the line are meant.
    #[must_use]
    pub fn with_length(mut self, length: usize) -> Self {
        self.0.length = length;
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.0.severity
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// Where.
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    fn render_into(&self, out: &mut String) {
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
            .with_links(false)
            .with_width(100);
        // Writing to a string cannot fail; if miette cannot show the place, the line still can.
        if handler.render_report(out, &Bare(self)).is_err() {
            out.push_str(&self.to_string());
            out.push('\n');
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warning = if self.0.severity == Severity::Warning {
            "warning: "
        } else {
            ""
        };
        write!(f, "{}: {warning}{}", self.0.location, self.0.message)?;
        match &self.0.help {
            Some(help) => write!(f, " (help: {help})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({self})")
    }
}

impl std::error::Error for Problem {}

/// The problem without its place, which miette shows beside the text, if there is any.
struct Bare<'a>(&'a Problem);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.shows_text() {
            write!(f, "{}: ", self.0.location())?;
        }
        f.write_str(self.0.message())
    }
}

impl fmt::Debug for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Bare<'_> {}

impl Diagnostic for Bare<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.0.severity_for_miette())
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Diagnostic::help(self.0)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let file: &dyn SourceCode = &self.0.0.file;
        self.0.shows_text().then_some(file)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.0.shows_text().then(|| self.0.labels()).flatten()
    }
}

impl Problem {
    /// Whether there are lines to show: a file that holds secrets is given without its text.
    fn shows_text(&self) -> bool {
        !self.0.file.text().is_empty()
    }

    fn severity_for_miette(&self) -> miette::Severity {
        match self.0.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        }
    }
}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity_for_miette())
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0
            .help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.0.file)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        // Only a report asks for this: to find the bytes for each problem of a long file that is
        // never shown would take longer than to read it.
        let (offset, length) = self.0.file.bytes(&self.0.location, self.0.length);
        let label = LabeledSpan::new(Some("here".to_owned()), offset, length);
        Some(Box::new(std::iter::once(label)))
    }
}

impl SourceCode for SourceFile {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let found = self.text().read_span(span, lines_before, lines_after)?;
        // Miette's columns are bytes, and ours are characters.
        let start = found.span().offset();
        let line = self.text().get(start.saturating_sub(found.column())..start);
        let line = line.unwrap_or_default().trim_start_matches('\u{feff}');
        Ok(Box::new(MietteSpanContents::new_named(
            self.path().to_owned(),
            found.data(),
            *found.span(),
            found.line(),
            line.chars().count(),
            found.line_count(),
        )))
    }
}

/// All that is wrong, in the order in which it was found.
#[derive(Debug, Clone, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds all problems of another collection.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Problem>) {
        self.0.extend(others);
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether at least one is an error.
    pub fn has_errors(&self) -> bool {
        self.0
            .iter()
            .any(|problem| problem.severity() == Severity::Error)
    }

    /// The problems, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Sorts by file, line and column, so that a report reads like the files.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| a.location().cmp(b.location()));
    }

    /// A report for people, with the lines in question; of very many problems, the first.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for problem in self.0.iter().take(SHOWN_MAX) {
            problem.render_into(&mut out);
        }
        if self.0.len() > SHOWN_MAX {
            let more = format!(" … and {} more\n", self.0.len() - SHOWN_MAX);
            out.push_str(&more);
        }
        out
    }

    /// `Ok` with the value when there is no error, else all problems.
    pub fn into_result<T>(self, value: T) -> Result<(T, Self), Self> {
        if self.has_errors() {
            Err(self)
        } else {
            Ok((value, self))
        }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
