//! Conditions as statements about single values.
//!
//! A condition of SQL is true, false or NULL. Each is read as two statements that are either true or
//! not: that it is true, and that it is false; neither is so where it is NULL. A statement is put
//! together from `value ∈ set`, where NULL may be in the set, by AND and OR; its opposite takes the
//! rest of each set. What is not understood is a value of its own, equal where it is written equally.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::{Between, Case, InList, InSubquery, Like};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

use super::domain::{self, Key, Set};
use super::terms::{Name, Terms};

/// Parts of all conditions that are compared with one another; what goes beyond is not understood.
const PARTS_MAX: usize = 20_000;

/// A statement about a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Formula {
    /// All of these are so; without any, so it is.
    All(Vec<Formula>),
    /// At least one of these is so; without any, it is not.
    Any(Vec<Formula>),
    /// The value of a term is in a set.
    Is(usize, Set),
}

impl Formula {
    pub(super) fn constant(value: bool) -> Self {
        if value {
            Self::All(Vec::new())
        } else {
            Self::Any(Vec::new())
        }
    }

    /// The opposite.
    pub(super) fn not(&self, terms: &Terms) -> Self {
        let each = |parts: &[Self]| parts.iter().map(|part| part.not(terms)).collect();
        match self {
            Self::All(parts) => Self::Any(each(parts)),
            Self::Any(parts) => Self::All(each(parts)),
            Self::Is(term, set) => Self::Is(*term, terms.universe(*term).minus(set)),
        }
    }
}

/// Reads the conditions of one policy set.
pub(super) struct Reader<'a> {
    pub(super) terms: &'a mut Terms,
    pub(super) schema: &'a DFSchema,
    /// Whether a column is another one than that of the same name in the other policy set.
    pub(super) is_other: &'a dyn Fn(&str) -> bool,
}

impl Reader<'_> {
    /// The statement that a condition is true, or that it is false.
    pub(super) fn is(&mut self, expr: &Expr, truth: bool) -> Formula {
        if !self.terms.count_part(PARTS_MAX) {
            return self.opaque(expr, truth);
        }
        match expr {
            Expr::Alias(alias) => self.is(&alias.expr, truth),
            Expr::Literal(ScalarValue::Boolean(value), _) => {
                Formula::constant(*value == Some(truth))
            }
            Expr::Literal(value, _) if value.is_null() => Formula::constant(false),
            Expr::Not(inner) => self.is(inner, !truth),
            Expr::BinaryExpr(binary) => self.binary(expr, binary, truth),
            Expr::IsNull(inner) => self.null_test(inner, truth),
            Expr::IsNotNull(inner) => self.null_test(inner, !truth),
            Expr::IsUnknown(inner) => self.unknown(inner, truth),
            Expr::IsNotUnknown(inner) => self.unknown(inner, !truth),
            Expr::IsTrue(inner) => self.whether(inner, true, truth),
            Expr::IsNotTrue(inner) => self.whether(inner, true, !truth),
            Expr::IsFalse(inner) => self.whether(inner, false, truth),
            Expr::IsNotFalse(inner) => self.whether(inner, false, !truth),
            Expr::Between(between) => self.between(between, truth),
            Expr::InList(list) => self.in_list(list, truth),
            Expr::Like(like) => self.like(like, truth),
            Expr::InSubquery(lookup) => self.lookup(lookup, truth),
            Expr::Case(case) if case.expr.is_none() => self.case(case, truth),
            other => self.opaque(other, truth),
        }
    }

    /// A condition that is not looked into: like a column of truths.
    fn opaque(&mut self, expr: &Expr, truth: bool) -> Formula {
        let term = self.term(expr, &DataType::Boolean);
        Formula::Is(term, Set::only(Key::Whole(i128::from(truth))))
    }

    fn term(&mut self, expr: &Expr, data_type: &DataType) -> usize {
        self.terms.value(expr, data_type, self.is_other)
    }

    fn binary(&mut self, whole: &Expr, binary: &BinaryExpr, truth: bool) -> Formula {
        let (left, right) = (binary.left.as_ref(), binary.right.as_ref());
        let positive = |op| {
            let (left, right) = (binary.left.clone(), binary.right.clone());
            Expr::BinaryExpr(BinaryExpr::new(left, op, right))
        };
        match binary.op {
            op @ (Operator::And | Operator::Or) => {
                let parts = operands(whole, op);
                let parts = parts.into_iter().map(|part| self.is(part, truth)).collect();
                if (op == Operator::And) == truth {
                    Formula::All(parts)
                } else {
                    Formula::Any(parts)
                }
            }
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq => self
                .compared(left, binary.op, right, truth)
                .unwrap_or_else(|| self.opaque(whole, truth)),
            Operator::IsNotDistinctFrom => self.same(whole, left, right, truth),
            Operator::IsDistinctFrom => {
                self.same(&positive(Operator::IsNotDistinctFrom), left, right, !truth)
            }
            Operator::RegexNotMatch => self.opaque(&positive(Operator::RegexMatch), !truth),
            Operator::RegexNotIMatch => self.opaque(&positive(Operator::RegexIMatch), !truth),
            Operator::NotLikeMatch => self.opaque(&positive(Operator::LikeMatch), !truth),
            Operator::NotILikeMatch => self.opaque(&positive(Operator::ILikeMatch), !truth),
            _ => self.opaque(whole, truth),
        }
    }

    /// A comparison that is true or false; `None` when its values lie on no common line.
    fn compared(
        &mut self,
        left: &Expr,
        op: Operator,
        right: &Expr,
        truth: bool,
    ) -> Option<Formula> {
        let (left, right) = (bare(left), bare(right));
        if [left, right].into_iter().any(is_null) {
            return Some(Formula::constant(false));
        }
        let (kind, other) = (self.kind(left)?, self.kind(right)?);
        let on_a_line = domain::line(&kind)? == domain::line(&other)?;
        if !on_a_line {
            return None;
        }
        if let Some((condition, value)) = with_truth(left, right) {
            return match op {
                Operator::Eq => Some(self.is(condition, value == truth)),
                Operator::NotEq => Some(self.is(condition, value != truth)),
                _ => None,
            };
        }
        let (term, known) = match (left, right) {
            (Expr::Literal(..), Expr::Literal(..)) => return None,
            (_, Expr::Literal(value, _)) => {
                let known = values(op, &domain::equals(value)?);
                (self.term(left, &kind), known)
            }
            (Expr::Literal(value, _), _) => {
                let known = values(op.swap()?, &domain::equals(value)?);
                (self.term(right, &other), known)
            }
            // Once one of the two is known, the engine may take two zeros for one or for two.
            _ if domain::has_two_zeros(&kind) => return None,
            _ => self.ordered(left, op, right)?,
        };
        let known = known.and(self.terms.universe(term)).without_null();
        Some(Formula::Is(term, self.truth_of(term, known, truth)))
    }

    /// Two values of the row against one another: how they lie is a term of its own, which is less,
    /// equal, greater or NULL.
    fn ordered(&mut self, left: &Expr, op: Operator, right: &Expr) -> Option<(usize, Set)> {
        let turned = left.to_string() > right.to_string();
        let (first, second, op) = if turned {
            (right, left, op.swap()?)
        } else {
            (left, right, op)
        };
        let (first, second) = (
            Terms::renamed(first, self.is_other),
            Terms::renamed(second, self.is_other),
        );
        let term = self.terms.intern(
            Name::Order(first, second),
            Set::between(-1, 1).with_null(),
            false,
        );
        let equal = Key::Whole(0);
        Some((term, values(op, &(equal.clone(), equal))))
    }

    /// The values that make a statement about a term true, or false: NULL does neither.
    fn truth_of(&self, term: usize, known: Set, truth: bool) -> Set {
        if truth {
            known
        } else {
            self.terms.universe(term).minus(&known).without_null()
        }
    }

    /// `IS NOT DISTINCT FROM`, which is never NULL.
    fn same(&mut self, whole: &Expr, left: &Expr, right: &Expr, truth: bool) -> Formula {
        let (left, right) = (bare(left), bare(right));
        if is_null(right) {
            return self.null_test(left, truth);
        }
        if is_null(left) {
            return self.null_test(right, truth);
        }
        if let Some((condition, value)) = with_truth(left, right) {
            return self.whether(condition, value, truth);
        }
        let with_literal = [left, right]
            .into_iter()
            .any(|side| matches!(side, Expr::Literal(..)));
        let equal = if with_literal {
            self.compared(left, Operator::Eq, right, true)
        } else {
            None
        };
        match equal {
            Some(equal) if truth => equal,
            Some(equal) => equal.not(self.terms),
            None => self.opaque(whole, truth),
        }
    }

    fn null_test(&mut self, inner: &Expr, truth: bool) -> Formula {
        let inner = bare(inner);
        match self.kind(inner) {
            Some(DataType::Boolean) => self.unknown(inner, truth),
            Some(kind) => {
                let term = self.term(inner, &kind);
                let null = Formula::Is(term, Set::null().and(self.terms.universe(term)));
                if truth { null } else { null.not(self.terms) }
            }
            None => {
                let test = Expr::IsNull(Box::new(inner.clone()));
                self.opaque(&test, truth)
            }
        }
    }

    /// Whether a condition is neither true nor false.
    fn unknown(&mut self, inner: &Expr, truth: bool) -> Formula {
        let known = Formula::Any(vec![self.is(inner, true), self.is(inner, false)]);
        if truth { known.not(self.terms) } else { known }
    }

    /// Whether a condition is `value`, which is never NULL.
    fn whether(&mut self, inner: &Expr, value: bool, truth: bool) -> Formula {
        let is = self.is(inner, value);
        if truth { is } else { is.not(self.terms) }
    }

    fn between(&mut self, between: &Between, truth: bool) -> Formula {
        let truth = truth != between.negated;
        let parts = [
            (Operator::GtEq, &between.low),
            (Operator::LtEq, &between.high),
        ];
        let parts = parts.map(|(op, bound)| {
            let compared = self.compared(&between.expr, op, bound, truth);
            compared.unwrap_or_else(|| {
                let (expr, bound) = (between.expr.clone(), bound.clone());
                self.opaque(&Expr::BinaryExpr(BinaryExpr::new(expr, op, bound)), truth)
            })
        });
        if truth {
            Formula::All(parts.into())
        } else {
            Formula::Any(parts.into())
        }
    }

    fn in_list(&mut self, list: &InList, truth: bool) -> Formula {
        let truth = truth != list.negated;
        // The engine looks for bits in a list, and there are two zeros; a comparison takes them for one.
        let zero = |item: &Expr| matches!(bare(item), Expr::Literal(value, _) if domain::is_float_zero(value));
        if list.list.iter().any(zero) {
            let mut positive = list.clone();
            positive.negated = false;
            return self.opaque(&Expr::InList(positive), truth);
        }
        let (mut keys, mut parts) = (Vec::new(), Vec::new());
        for item in &list.list {
            if let Some(key) = self.plain_key(&list.expr, item) {
                keys.push(key);
                continue;
            }
            let part = self.compared(&list.expr, Operator::Eq, item, truth);
            parts.push(part.unwrap_or_else(|| {
                let (expr, item) = (list.expr.clone(), Box::new(item.clone()));
                let equal = BinaryExpr::new(expr, Operator::Eq, item);
                self.opaque(&Expr::BinaryExpr(equal), truth)
            }));
        }
        if let (false, Some(kind)) = (keys.is_empty(), self.kind(&list.expr)) {
            let term = self.term(bare(&list.expr), &kind);
            let listed = Set::of_keys(keys).and(self.terms.universe(term));
            parts.push(Formula::Is(term, self.truth_of(term, listed, truth)));
        }
        if truth {
            Formula::Any(parts)
        } else {
            Formula::All(parts)
        }
    }

    /// Where a literal lies on the line of the values that it is looked for among; `None` when it lies
    /// elsewhere, or is a truth, of which more is known.
    fn plain_key(&self, expr: &Expr, item: &Expr) -> Option<Key> {
        let Expr::Literal(value, _) = bare(item) else {
            return None;
        };
        let line = domain::line(&self.kind(expr)?)?;
        let same = line != DataType::Boolean && domain::line(&value.data_type())? == line;
        same.then(|| domain::key(value))?
    }

    fn like(&mut self, like: &Like, truth: bool) -> Formula {
        let truth = truth != like.negated;
        let positive = Like {
            negated: false,
            ..like.clone()
        };
        let whole = Expr::Like(positive);
        if is_null(bare(&like.pattern)) {
            return Formula::constant(false);
        }
        let text = match bare(&like.pattern) {
            Expr::Literal(value, _) => value.try_as_str().flatten(),
            _ => None,
        };
        let kind = self.kind(&like.expr);
        let texts = text
            .filter(|_| !like.case_insensitive && like.escape_char.is_none())
            .and_then(plain_pattern);
        let on_a_line = kind.as_ref().and_then(domain::line) == Some(DataType::Utf8);
        let (Some(kind), Some(texts), true) = (kind, texts, on_a_line) else {
            return self.opaque(&whole, truth);
        };
        let term = self.term(bare(&like.expr), &kind);
        Formula::Is(term, self.truth_of(term, texts, truth))
    }

    fn lookup(&mut self, lookup: &InSubquery, truth: bool) -> Formula {
        let truth = truth != lookup.negated;
        let mut positive = lookup.clone();
        positive.negated = false;
        self.opaque(&Expr::InSubquery(positive), truth)
    }

    /// The first branch whose condition is true counts; without any, and without `ELSE`, it is NULL.
    fn case(&mut self, case: &Case, truth: bool) -> Formula {
        let mut before = Vec::new();
        let mut ways = Vec::new();
        for (when, then) in &case.when_then_expr {
            let when = self.is(when, true);
            let mut way = before.clone();
            before.push(when.not(self.terms));
            way.push(when);
            way.push(self.is(then, truth));
            ways.push(Formula::All(way));
        }
        if let Some(otherwise) = &case.else_expr {
            before.push(self.is(otherwise, truth));
            ways.push(Formula::All(before));
        }
        Formula::Any(ways)
    }

    fn kind(&self, expr: &Expr) -> Option<DataType> {
        expr.get_type(self.schema).ok()
    }
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

/// A condition beside a literal truth.
fn with_truth<'e>(left: &'e Expr, right: &'e Expr) -> Option<(&'e Expr, bool)> {
    match (left, right) {
        (Expr::Literal(..), Expr::Literal(..)) => None,
        (condition, Expr::Literal(ScalarValue::Boolean(Some(value)), _))
        | (Expr::Literal(ScalarValue::Boolean(Some(value)), _), condition) => {
            Some((condition, *value))
        }
        _ => None,
    }
}

/// The values that stand so to a value, of which these are the first and the last that equal it.
fn values(op: Operator, (first, last): &(Key, Key)) -> Set {
    let (from, above) = (Set::from(first.clone()), Set::above(last));
    let all = match first {
        Key::Whole(_) => Set::from(Key::Whole(i128::MIN)),
        Key::Bytes(_) => Set::from(Key::Bytes(Vec::new())),
    };
    match op {
        Operator::Eq => from.minus(&above),
        Operator::NotEq => all.minus(&from.minus(&above)),
        Operator::Lt => all.minus(&from),
        Operator::LtEq => all.minus(&above),
        Operator::Gt => above,
        Operator::GtEq => from,
        _ => Set::empty(),
    }
}

/// The texts of a pattern that is a text, or the beginning of one; `None` for any other.
fn plain_pattern(pattern: &str) -> Option<Set> {
    let (text, begins) = match pattern.strip_suffix('%') {
        Some(text) => (text, true),
        None => (pattern, false),
    };
    if text.contains(['%', '_', '\\']) {
        return None;
    }
    Some(if begins {
        Set::starting_with(text)
    } else {
        Set::only(Key::Bytes(text.into()))
    })
}

/// What stands between operators of one kind, without recursion: hundreds may stand in a row.
fn operands(expr: &Expr, op: Operator) -> Vec<&Expr> {
    let (mut found, mut left) = (Vec::new(), vec![expr]);
    while let Some(expr) = left.pop() {
        match expr {
            Expr::BinaryExpr(binary) if binary.op == op => {
                left.push(&binary.right);
                left.push(&binary.left);
            }
            other => found.push(other),
        }
    }
    found
}
