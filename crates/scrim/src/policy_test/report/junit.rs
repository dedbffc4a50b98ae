//! A report for CI, in the form that JUnit made common.

use std::io;
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{CoverageReport, Report, title};
use crate::policy_test::{CaseResult, FileResult};
use crate::render::text::printable;

type Xml = Writer<Vec<u8>>;

/// Writes a report as XML.
///
/// # Errors
/// Writing to memory does not fail; the writer's type says that it could.
pub fn render(report: &Report) -> io::Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let (passed, failed) = report.counts();
    xml.create_element("testsuites")
        .with_attribute(("name", "scrim policy test"))
        .with_attribute(("tests", (passed + failed).to_string().as_str()))
        .with_attribute(("failures", failed.to_string().as_str()))
        .with_attribute(("time", seconds(report.took).as_str()))
        .write_inner_content(|xml| {
            for file in &report.files {
                suite(xml, file)?;
            }
            match &report.coverage {
                Some(coverage) => covered(xml, coverage),
                None => Ok(()),
            }
        })?;
    let mut text = String::from_utf8(xml.into_inner()).map_err(io::Error::other)?;
    text.push('\n');
    Ok(text)
}

fn suite(xml: &mut Xml, file: &FileResult) -> io::Result<()> {
    let failed = file
        .cases
        .iter()
        .filter(|case| !case.differences.is_empty());
    let took: Duration = file.cases.iter().map(|case| case.took).sum();
    xml.create_element("testsuite")
        .with_attribute(("name", shown(&file.path).as_str()))
        .with_attribute(("tests", file.cases.len().to_string().as_str()))
        .with_attribute(("failures", failed.count().to_string().as_str()))
        .with_attribute(("time", seconds(took).as_str()))
        .write_inner_content(|xml| {
            for one in &file.cases {
                case(xml, &file.path, one)?;
            }
            Ok(())
        })?;
    Ok(())
}

fn case(xml: &mut Xml, file: &str, case: &CaseResult) -> io::Result<()> {
    let element = xml
        .create_element("testcase")
        .with_attribute(("classname", shown(file).as_str()))
        .with_attribute(("name", shown(&title(case)).as_str()))
        .with_attribute(("file", shown(file).as_str()))
        .with_attribute(("line", case.location.line.to_string().as_str()))
        .with_attribute(("time", seconds(case.took).as_str()));
    if case.differences.is_empty() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|xml| {
        for difference in &case.differences {
            let message = shown(&difference.message);
            let text = shown(&format!("{}: {message}", difference.at));
            xml.create_element("failure")
                .with_attribute(("message", message.as_str()))
                .write_text_content(BytesText::new(&text))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Coverage as a suite without cases: what it says is for reading.
fn covered(xml: &mut Xml, coverage: &CoverageReport) -> io::Result<()> {
    xml.create_element("testsuite")
        .with_attribute(("name", "coverage"))
        .with_attribute(("tests", "0"))
        .with_attribute(("failures", "0"))
        .write_inner_content(|xml| {
            xml.create_element("properties")
                .write_inner_content(|xml| {
                    let percent = coverage.percent().to_string();
                    property(xml, "coverage", &percent)?;
                    for (part, touched, all) in &coverage.parts {
                        property(xml, part, &format!("{touched} of {all}"))?;
                    }
                    Ok(())
                })?;
            let missing = coverage.missing.iter();
            let lines: Vec<String> = missing
                .map(|missing| shown(&format!("{}: {}", missing.at, missing.message)))
                .collect();
            xml.create_element("system-out")
                .write_text_content(BytesText::new(&lines.join("\n")))?;
            Ok(())
        })?;
    Ok(())
}

fn property(xml: &mut Xml, name: &str, value: &str) -> io::Result<()> {
    xml.create_element("property")
        .with_attribute(("name", name))
        .with_attribute(("value", value))
        .write_empty()?;
    Ok(())
}

/// XML has no way to write most control characters.
fn shown(text: &str) -> String {
    let noncharacter = |c: char| matches!(c, '\u{fffe}' | '\u{ffff}');
    printable(text).replace(noncharacter, "\u{fffd}")
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}
