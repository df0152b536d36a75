//! Labels. Each has few values, known beforehand: nothing that a client can choose.

use std::sync::{Mutex, PoisonError};

/// One label of a metric.
pub trait Label: Copy + 'static {
    const NAME: &'static str;
    /// How many values there can be.
    const WIDTH: usize;
    /// Whether all values are known from the start.
    const IS_CLOSED: bool = true;
    /// What the values are, if they are not listed.
    const MEANING: &'static str = "";

    fn position(self) -> usize;

    /// The value at a position; `None` if there is none yet.
    fn value(position: usize) -> Option<&'static str>;
}

/// The labels of a metric: none, one, or a tuple.
pub trait Labels: Copy + 'static {
    const WIDTH: usize;
    const IS_CLOSED: bool;

    fn position(self) -> usize;

    /// Names and values at a position; `None` if one of them does not exist yet.
    fn values(position: usize) -> Option<Vec<(&'static str, &'static str)>>;

    /// Each label, with its values or what they are.
    fn describe() -> Vec<(&'static str, String)>;
}

fn describe<L: Label>() -> (&'static str, String) {
    let listed = (0..L::WIDTH).filter_map(L::value);
    let listed: Vec<_> = listed.map(|value| format!("`{value}`")).collect();
    let values = match L::MEANING {
        "" => listed.join(", "),
        meaning => meaning.to_owned(),
    };
    (L::NAME, values)
}

fn pair<L: Label>(position: usize) -> Option<(&'static str, &'static str)> {
    Some((L::NAME, L::value(position)?))
}

impl Labels for () {
    const WIDTH: usize = 1;
    const IS_CLOSED: bool = true;

    fn position(self) -> usize {
        0
    }

    fn values(_: usize) -> Option<Vec<(&'static str, &'static str)>> {
        Some(Vec::new())
    }

    fn describe() -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

impl<A: Label> Labels for A {
    const WIDTH: usize = A::WIDTH;
    const IS_CLOSED: bool = A::IS_CLOSED;

    fn position(self) -> usize {
        Label::position(self)
    }

    fn values(position: usize) -> Option<Vec<(&'static str, &'static str)>> {
        Some(vec![pair::<A>(position)?])
    }

    fn describe() -> Vec<(&'static str, String)> {
        vec![describe::<A>()]
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    const WIDTH: usize = A::WIDTH * B::WIDTH;
    const IS_CLOSED: bool = A::IS_CLOSED && B::IS_CLOSED;

    fn position(self) -> usize {
        Label::position(self.0) * B::WIDTH + Label::position(self.1)
    }

    fn values(position: usize) -> Option<Vec<(&'static str, &'static str)>> {
        let (a, b) = (position / B::WIDTH, position % B::WIDTH);
        Some(vec![pair::<A>(a)?, pair::<B>(b)?])
    }

    fn describe() -> Vec<(&'static str, String)> {
        vec![describe::<A>(), describe::<B>()]
    }
}

impl<A: Label, B: Label, C: Label> Labels for (A, B, C) {
    const WIDTH: usize = <(A, B)>::WIDTH * C::WIDTH;
    const IS_CLOSED: bool = <(A, B)>::IS_CLOSED && C::IS_CLOSED;

    fn position(self) -> usize {
        let (a, b, c) = self;
        Labels::position((a, b)) * C::WIDTH + Label::position(c)
    }

    fn values(position: usize) -> Option<Vec<(&'static str, &'static str)>> {
        let (ab, c) = (position / C::WIDTH, position % C::WIDTH);
        let mut values = <(A, B)>::values(ab)?;
        values.push(pair::<C>(c)?);
        Some(values)
    }

    fn describe() -> Vec<(&'static str, String)> {
        vec![describe::<A>(), describe::<B>(), describe::<C>()]
    }
}

/// `labels! { /// …  Name "name" { Variant "value", … } }`: an enum and its values.
macro_rules! labels {
    ($($(#[$about:meta])* $label:ident $name:literal { $($(#[$what:meta])* $variant:ident $value:expr),* $(,)? })*) => {
        $(
            $(#[$about])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $label {
                $($(#[$what])* $variant),*
            }

            impl $crate::telemetry::metrics::labels::Label for $label {
                const NAME: &'static str = $name;
                const WIDTH: usize = [$($value),*].len();

                fn position(self) -> usize {
                    self as usize
                }

                fn value(position: usize) -> Option<&'static str> {
                    [$($value),*].get(position).copied()
                }
            }
        )*
    };
}

pub(super) use labels;

/// The pattern of a route, as the table of routes has it; known once it is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route(usize);

/// The first is what no route answers.
static ROUTES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

impl Route {
    /// What no route answers.
    pub const OTHER: Self = Self(0);

    /// To be kept: it is looked up.
    #[must_use]
    pub fn of(pattern: &'static str) -> Self {
        let mut routes = ROUTES.lock().unwrap_or_else(PoisonError::into_inner);
        let known = routes.iter().position(|known| *known == pattern);
        let position = known.unwrap_or_else(|| {
            routes.push(pattern);
            routes.len() - 1
        });
        match position + 1 {
            position if position < <Self as Label>::WIDTH => Self(position),
            _ => Self::OTHER,
        }
    }
}

impl Label for Route {
    const NAME: &'static str = "route";
    const WIDTH: usize = 128;
    const IS_CLOSED: bool = false;
    const MEANING: &'static str = "the pattern of a route, or `other`";

    fn position(self) -> usize {
        self.0
    }

    fn value(position: usize) -> Option<&'static str> {
        let Some(position) = position.checked_sub(1) else {
            return Some("other");
        };
        let routes = ROUTES.lock().unwrap_or_else(PoisonError::into_inner);
        routes.get(position).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::{CheckOutcome, CheckSource};

    #[test]
    fn each_combination_of_labels_has_a_position_of_its_own() {
        type All = (Route, CheckSource, CheckOutcome);
        for (route, name) in [(Route::OTHER, "other"), (Route::of("/a"), "/a")] {
            let position = Labels::position((route, CheckSource::Ledger, CheckOutcome::Ended));
            let expected = [("route", name), ("source", "ledger"), ("outcome", "ended")];
            assert_eq!(All::values(position).unwrap(), expected);
        }
        let last = Labels::position((CheckSource::Ledger, CheckOutcome::Unavailable));
        assert_eq!(last + 1, <(CheckSource, CheckOutcome)>::WIDTH);
    }
}
