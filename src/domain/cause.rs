//! Errors as an operator reads them.

use std::error::Error;

/// An error and its causes. Some libraries write the cause into their own text, too: what
/// was said already is not said again.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut told, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.ends_with(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("it repeats: {0}")]
    struct Repeats(#[source] std::fmt::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("it does not")]
    struct Names(#[source] Repeats);

    #[test]
    fn each_cause_is_said_once() {
        let cause = std::fmt::Error.to_string();
        let error = Names(Repeats(std::fmt::Error));
        assert_eq!(chain(&error), format!("it does not: it repeats: {cause}"));
    }
}
