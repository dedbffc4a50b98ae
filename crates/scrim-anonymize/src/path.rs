//! Paths of nested fields: `contact.phone`, `tags[]`, `visits[].code`.

use arrow::datatypes::DataType;

use crate::error::MaskError;

/// One step from a column to what lies inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathStep {
    /// The field of a struct.
    Field(String),
    /// All elements of a list.
    Element,
}

/// Splits a path into its column and the steps below it.
pub fn parse_path(path: &str) -> Result<(String, Vec<PathStep>), MaskError> {
    let mut steps = parse_steps(path)?.into_iter();
    match steps.next() {
        Some(PathStep::Field(column)) => Ok((column, steps.collect())),
        Some(PathStep::Element) | None => Err(bad(path, "must begin with the name of a column")),
    }
}

/// Reads a path below a column: `phone`, `[]`, `[].code`.
pub fn parse_steps(path: &str) -> Result<Vec<PathStep>, MaskError> {
    let mut steps = Vec::new();
    for (index, part) in path.split('.').enumerate() {
        let name = part.trim_end_matches("[]");
        if name.contains(['[', ']']) {
            return Err(bad(
                path,
                "may use brackets only as `[]`, for the elements of a list",
            ));
        }
        let brackets = (part.len() - name.len()) / 2;
        if name.is_empty() && (index > 0 || brackets == 0) {
            return Err(bad(path, "has an empty name in it"));
        }
        if !name.is_empty() {
            steps.push(PathStep::Field(name.to_owned()));
        }
        steps.extend(std::iter::repeat_n(PathStep::Element, brackets));
    }
    Ok(steps)
}

/// The type that a path leads to.
pub fn type_at<'a>(
    column: &str,
    data_type: &'a DataType,
    steps: &[PathStep],
) -> Result<&'a DataType, MaskError> {
    let Some((step, rest)) = steps.split_first() else {
        return Ok(data_type);
    };
    let inner = format_path(column, std::slice::from_ref(step));
    let child = match (step, data_type) {
        (PathStep::Field(name), DataType::Struct(fields)) => {
            let field = fields.iter().find(|field| field.name() == name);
            field
                .ok_or_else(|| bad(&inner, &format!("does not exist; {}", fields_of(data_type))))?
        }
        (
            PathStep::Element,
            DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _),
        ) => field,
        (PathStep::Field(_), _) => {
            let problem = format!("leads nowhere: `{column}` is {data_type}, not a struct");
            return Err(bad(&inner, &problem));
        }
        (PathStep::Element, _) => {
            let problem = format!("leads nowhere: `{column}` is {data_type}, not a list");
            return Err(bad(&inner, &problem));
        }
    };
    type_at(&inner, child.data_type(), rest)
}

/// Writes a column and steps back as a path.
pub fn format_path(column: &str, steps: &[PathStep]) -> String {
    let mut path = column.to_owned();
    for step in steps {
        match step {
            PathStep::Element => path.push_str("[]"),
            PathStep::Field(name) => {
                path.push('.');
                path.push_str(name);
            }
        }
    }
    path
}

fn fields_of(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(fields) => {
            let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
            format!("the fields are {}", names.join(", "))
        }
        other => format!("it is {other}"),
    }
}

pub(crate) fn bad(path: &str, problem: &str) -> MaskError {
    MaskError::BadPath {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{PathStep, format_path, parse_path, parse_steps};

    #[test]
    fn paths_are_read_and_written_back() {
        for path in [
            "a",
            "contact.phone",
            "tags[]",
            "visits[].code",
            "m[][].x.y[]",
        ] {
            let (column, steps) = parse_path(path).unwrap();
            assert_eq!(format_path(&column, &steps), path);
        }
        assert_eq!(
            parse_steps("[].code").unwrap(),
            [PathStep::Element, PathStep::Field("code".to_owned())]
        );
        assert_eq!(
            parse_steps("phone").unwrap(),
            [PathStep::Field("phone".to_owned())]
        );
    }

    #[test]
    fn odd_paths_are_refused() {
        for path in [
            "", ".", "a.", ".a", "a..b", "a[0]", "a[", "a]", "a[]b", "[]", "a.[]",
        ] {
            assert!(parse_path(path).is_err(), "{path}");
        }
        assert!(parse_steps("").is_err());
    }
}
