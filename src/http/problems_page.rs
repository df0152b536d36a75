//! The kinds of problems, for people to read: written from their table, as the pages
//! under `/problems/` are.

use std::fmt::Write as _;

use super::kind::Kind;

const INTRODUCTION: &str = "\
# Problems

Every error of the API is a problem document (RFC 9457), `application/problem+json`, with a
`code` for programs to go by, and a `type` that leads to a page of the running service that
says what is said here. [The API](api.md#errors) shows one.

This page is what `gatelodge config problems` prints.
";

/// The text of `docs/problems.md`.
#[must_use]
pub fn problems_page() -> String {
    let mut text = String::from(INTRODUCTION);
    for kind in Kind::ALL {
        let status = kind.status().as_u16();
        let _ = write!(
            text,
            "\n## {}\n\n**{status}, {}.** {}\n\n{}\n",
            kind.code(),
            kind.title(),
            kind.detail(),
            kind.advice()
        );
        if let Some(after) = kind.retry_after() {
            let _ = write!(text, "\n`Retry-After: {}`\n", after.as_secs());
        }
    }
    text
}
