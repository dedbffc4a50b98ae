//! How a profile shows each column.
//!
//! For a column as a whole, what names it wins; else its tags, the least open of them; else the
//! profile's `default`. A field inside a column is shown like what surrounds it, unless
//! - its path is named, which may open or close it;
//! - it is tagged and its path is not named: then the tag counts where it is less open than what
//!   surrounds the field. So naming a column `clear` does not clear what is tagged inside it;
//! - the contract lists the fields of what surrounds it, and not this one: then it is hidden.

use arrow::datatypes::DataType;
use scrim_anonymize::{PathStep, format_path, parse_path, type_at};
use scrim_document::{Node, Problems, nearest};

use crate::access::{AccessPolicy, NamedTreatment, Profile};
use crate::fit;
use crate::odcs::Property;
use crate::set::{ProfileColumn, Table};
use crate::{Showing, Treatment};

/// What a profile is checked against.
pub(super) struct Columns<'a> {
    pub(super) table: &'a Table,
    pub(super) properties: &'a [Property],
    pub(super) access: &'a AccessPolicy,
}

/// A treatment with the place that says so.
#[derive(Clone)]
struct Said {
    showing: Showing,
    node: Node,
}

/// A path below a column, as a policy names it.
struct NamedPath<'a> {
    column: String,
    steps: Vec<PathStep>,
    said: &'a NamedTreatment,
}

impl Columns<'_> {
    /// The treatment of every column of the table, in its order.
    pub(super) fn treat(&self, profile: &Profile, problems: &mut Problems) -> Vec<ProfileColumn> {
        check_tags(profile, self.properties, problems);
        let paths = named_paths(profile, self.properties, problems);
        let fields = self.table.schema.fields().iter();
        self.properties
            .iter()
            .zip(fields)
            .map(|(property, field)| {
                let root = root(property, profile, problems);
                self.check_mask(&property.name, field.data_type(), &root, problems);
                let mut nested = Vec::new();
                for path in paths.iter().filter(|path| path.column == property.name) {
                    let said = Said {
                        showing: path.said.showing.clone(),
                        node: path.said.node.clone(),
                    };
                    nested.push((path.steps.clone(), said));
                }
                tagged_fields(property, profile, &root, &mut nested, problems);
                unlisted_fields(property, field.data_type(), &root, &mut nested);
                self.bind_nested(property, field.data_type(), &nested, problems);
                let mut nested: Vec<_> = nested
                    .into_iter()
                    .map(|(steps, said)| (below(&steps), said.showing))
                    .collect();
                nested.sort_by(|a, b| a.0.cmp(&b.0));
                let treatment = Treatment {
                    root: root.showing,
                    nested,
                };
                ProfileColumn::new(treatment, root.node.location())
            })
            .collect()
    }

    /// Checks that every nested path exists in the source and that its mask fits there.
    fn bind_nested(
        &self,
        property: &Property,
        data_type: &DataType,
        nested: &[(Vec<PathStep>, Said)],
        problems: &mut Problems,
    ) {
        for (steps, said) in nested {
            match type_at(&property.name, data_type, steps) {
                Ok(inner) => {
                    let path = format_path(&property.name, steps);
                    self.check_mask(&path, inner, said, problems);
                }
                Err(error) => problems.push(said.node.error(error.to_string())),
            }
        }
    }

    fn check_mask(&self, path: &str, data_type: &DataType, said: &Said, problems: &mut Problems) {
        let Showing::Masked(mask) = &said.showing else {
            return;
        };
        if let Err(error) = mask.check(path, data_type) {
            problems.push(said.node.error(error.to_string()));
        }
        if let Some(group) = mask.group()
            && !self.access.groups.iter().any(|listed| listed == group)
        {
            let message = format!("the contract does not list the group `{group}`");
            let help = format!("add `groups: [{group}]` to `accessPolicy`");
            problems.push(said.node.error(message).with_help(help));
        }
    }
}

/// Checks what a profile says of columns and tags against those that the contract has.
pub(super) fn check_names(profile: &Profile, properties: &[Property], problems: &mut Problems) {
    check_tags(profile, properties, problems);
    named_paths(profile, properties, problems);
}

fn check_tags(profile: &Profile, properties: &[Property], problems: &mut Problems) {
    for tagged in &profile.tagged {
        if !properties
            .iter()
            .any(|property| has_tag(property, &tagged.name))
        {
            let mut known = Vec::new();
            for property in properties {
                collect_tags(property, &mut known);
            }
            let message = format!("no column has the tag `{}`", tagged.name);
            let problem = tagged.key.warning(message);
            problems.push(match nearest(&tagged.name, known) {
                Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
    }
}

/// The named paths; what names no column is a problem.
fn named_paths<'p>(
    profile: &'p Profile,
    properties: &[Property],
    problems: &mut Problems,
) -> Vec<NamedPath<'p>> {
    let mut paths: Vec<NamedPath<'p>> = Vec::new();
    let is_column = |name: &str| properties.iter().any(|property| property.name == name);
    for said in profile.columns.iter().filter(|said| !is_column(&said.name)) {
        let (column, steps) = match parse_path(&said.name) {
            Ok(path) => path,
            Err(error) => {
                problems.push(said.key.error(error.to_string()));
                continue;
            }
        };
        if !is_column(&column) {
            let problem = said
                .key
                .error(format!("the contract has no column `{column}`"));
            let names = properties.iter().map(|property| property.name.as_str());
            problems.push(match nearest(&column, names) {
                Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                None => problem,
            });
            continue;
        }
        if paths
            .iter()
            .any(|path| path.column == column && path.steps == steps)
        {
            problems.push(said.key.error(format!("`{}` is named twice", said.name)));
            continue;
        }
        paths.push(NamedPath {
            column,
            steps,
            said,
        });
    }
    paths
}

/// Adds the treatments that tags give to fields inside a column.
fn tagged_fields(
    property: &Property,
    profile: &Profile,
    root: &Said,
    nested: &mut Vec<(Vec<PathStep>, Said)>,
    problems: &mut Problems,
) {
    let mut fields = Vec::new();
    collect_fields(property, &mut Vec::new(), &mut fields);
    for (steps, field) in fields {
        if nested.iter().any(|(path, _)| *path == steps) {
            continue;
        }
        let Some(said) = by_tag(field, profile, problems) else {
            continue;
        };
        close(steps, said, root, nested);
    }
}

/// Hides fields that the source has and the contract does not list: one that was added to the source
/// must not show by itself.
fn unlisted_fields(
    property: &Property,
    data_type: &DataType,
    root: &Said,
    nested: &mut Vec<(Vec<PathStep>, Said)>,
) {
    for steps in fit::unlisted(property, data_type) {
        if nested.iter().any(|(path, _)| *path == steps) {
            continue;
        }
        let said = Said {
            showing: Showing::Hidden,
            node: root.node.clone(),
        };
        close(steps, said, root, nested);
    }
}

/// Shows a field as is said, where that is less open than what surrounds it.
fn close(steps: Vec<PathStep>, said: Said, root: &Said, nested: &mut Vec<(Vec<PathStep>, Said)>) {
    let surrounding = nested
        .iter()
        .filter(|(path, _)| steps.starts_with(path))
        .max_by_key(|(path, _)| path.len())
        .map_or(root, |(_, said)| said);
    if said.showing.openness() < surrounding.showing.openness() {
        nested.push((steps, said));
    }
}

/// How a column as a whole is shown.
fn root(property: &Property, profile: &Profile, problems: &mut Problems) -> Said {
    if let Some(named) = profile
        .columns
        .iter()
        .find(|said| said.name == property.name)
    {
        return Said {
            showing: named.showing.clone(),
            node: named.node.clone(),
        };
    }
    by_tag(property, profile, problems).unwrap_or_else(|| Said {
        showing: profile.default.clone(),
        node: profile.default_node.clone(),
    })
}

/// The least open treatment of a property's tags.
fn by_tag(property: &Property, profile: &Profile, problems: &mut Problems) -> Option<Said> {
    let mut chosen: Option<&NamedTreatment> = None;
    for said in profile
        .tagged
        .iter()
        .filter(|said| property.tags.contains(&said.name))
    {
        let Some(before) = chosen else {
            chosen = Some(said);
            continue;
        };
        if said.showing.openness() < before.showing.openness() {
            chosen = Some(said);
        } else if said.showing.openness() == before.showing.openness()
            && said.showing != before.showing
        {
            let message = format!(
                "`{}` has the tags `{}` and `{}` with different masks; the first counts",
                property.name, before.name, said.name
            );
            problems.push(
                said.node
                    .warning(message)
                    .with_help("name the column in the profile"),
            );
        }
    }
    chosen.map(|said| Said {
        showing: said.showing.clone(),
        node: said.node.clone(),
    })
}

fn has_tag(property: &Property, tag: &str) -> bool {
    let mut tags = Vec::new();
    collect_tags(property, &mut tags);
    tags.contains(&tag)
}

fn collect_tags<'a>(property: &'a Property, tags: &mut Vec<&'a str>) {
    tags.extend(property.tags.iter().map(String::as_str));
    property
        .properties
        .iter()
        .for_each(|field| collect_tags(field, tags));
    property
        .items
        .iter()
        .for_each(|item| collect_tags(item, tags));
}

/// All properties below one, outer ones first, with their paths in the source's names.
pub(crate) fn collect_fields<'a>(
    property: &'a Property,
    path: &mut Vec<PathStep>,
    fields: &mut Vec<(Vec<PathStep>, &'a Property)>,
) {
    let named = property
        .properties
        .iter()
        .map(|field| (PathStep::Field(field.physical_name.clone()), field));
    let element = property
        .items
        .iter()
        .map(|item| (PathStep::Element, item.as_ref()));
    for (step, field) in named.chain(element) {
        path.push(step);
        fields.push((path.clone(), field));
        collect_fields(field, path, fields);
        path.pop();
    }
}

/// A path below a column, without the column: `phone`, `[]`, `[].city`.
pub(crate) fn below(steps: &[PathStep]) -> String {
    let path = format_path("", steps);
    path.strip_prefix('.').unwrap_or(&path).to_owned()
}
