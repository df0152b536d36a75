//! Text that people are shown, and text that they search for.

use std::fmt;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Controls, separators of lines and paragraphs, and characters that reorder,
/// hide, tag or are nothing (Unicode TR 36). Those that make up emoji and scripts
/// (joiners, variation selectors) are not among them; the tags that make flags of parts of
/// countries are, since they can hide a whole text.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
}

/// Whether there is something to see of a character by itself: joiners and marks take a
/// letter, and some letters are blank.
fn is_visible(c: char) -> bool {
    let joins = matches!(c, '\u{200c}' | '\u{200d}');
    let is_blank = matches!(
        c,
        '\u{2800}' | '\u{13441}' | '\u{13442}' | '\u{16fe4}' | '\u{1d159}'
    );
    !(c.is_whitespace() || is_combining_mark(c) || joins || is_blank)
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLine {
    #[error("must not be empty")]
    Empty,
    #[error("must be at most {0} characters long")]
    TooLong(usize),
    #[error("must not contain control, text-direction or hidden characters")]
    ControlCharacter,
    #[error("must have a character that can be seen")]
    Invisible,
}

/// One line of 1 to `max_length` code points, NFC, trimmed, with something to see and
/// nothing in it that could forge a log line, a header or the look of a page.
///
/// # Errors
/// Says what is wrong with `text`, in words fit for a user.
pub fn one_line(text: &str, max_length: usize) -> Result<String, InvalidLine> {
    if text.len() > 16 * max_length {
        return Err(InvalidLine::TooLong(max_length));
    }
    let line: String = if text.is_ascii() {
        text.trim().to_owned()
    } else {
        text.trim().nfc().collect()
    };
    if line.is_empty() {
        return Err(InvalidLine::Empty);
    }
    if line.chars().any(is_deceptive) {
        return Err(InvalidLine::ControlCharacter);
    }
    if !line.chars().any(is_visible) {
        return Err(InvalidLine::Invisible);
    }
    if line.chars().count() > max_length {
        return Err(InvalidLine::TooLong(max_length));
    }
    Ok(line)
}

const MAX_LINE_LENGTH: usize = 200;

/// A short text, such as a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Line(String);

impl Line {
    /// # Errors
    /// As [`one_line`], for 200 characters.
    pub fn parse(text: &str) -> Result<Self, InvalidLine> {
        one_line(text, MAX_LINE_LENGTH).map(Self)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A part of a text to look for, upper and lower case alike: three characters
/// at least, which is what an index on parts of texts needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment(Line);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFragment {
    #[error("must be at least 3 characters long")]
    TooShort,
    #[error(transparent)]
    Line(#[from] InvalidLine),
}

impl Fragment {
    /// # Errors
    /// Says what is wrong with `text`, in words fit for a user.
    pub fn parse(text: &str) -> Result<Self, InvalidFragment> {
        let line = Line::parse(text)?;
        if line.as_str().chars().count() < 3 {
            return Err(InvalidFragment::TooShort);
        }
        Ok(Self(line))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The pattern of SQL's `like`, in which `\` escapes, that finds the fragment
    /// and nothing else.
    #[must_use]
    pub fn like_pattern(&self) -> String {
        let mut pattern = String::from("%");
        for c in self.as_str().chars() {
            if matches!(c, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('%');
        pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_stands_for_itself() {
        let fragment = Fragment::parse(r"a*%_\").unwrap();
        assert_eq!(fragment.like_pattern(), r"%a*\%\_\\%");
    }

    #[test]
    fn what_is_empty_long_or_deceptive_is_refused() {
        assert_eq!(Line::parse(" "), Err(InvalidLine::Empty));
        assert_eq!(
            Line::parse(&"a".repeat(201)),
            Err(InvalidLine::TooLong(200))
        );
        assert_eq!(Line::parse("a\nb"), Err(InvalidLine::ControlCharacter));
        assert_eq!(Fragment::parse("ab"), Err(InvalidFragment::TooShort));
    }
}
