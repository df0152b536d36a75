//! The passwords that are tried first (NIST SP 800-63B-4, 3.1.1.2; ASVS 6.2.4, 6.2.12).
//!
//! `common.txt` has what comes first in two lists of leaked passwords, sorted, and folded as
//! [`fold`] does it:
//! - the 20 000 most frequent of Mark Burnett's ten million (2015, in the public domain), and
//!   those of 15 characters or more among the million most frequent, since by default none
//!   is shorter; by their order in `SecLists` (Copyright (c) 2018 Daniel Miessler, MIT licence);
//! - the 20 000 by Royce Williams that Django refuses (Copyright (c) Django Software
//!   Foundation and individual contributors, BSD-3-Clause), of two characters or more.
//!
//! `common.licences.txt` has both licences.

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

static SORTED: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("common.txt").lines().collect());

/// Whether a folded password is listed, or nothing but a listed one repeated.
pub(super) fn is_common(folded: &str) -> bool {
    is_listed(folded) || is_listed(repeated(folded))
}

fn is_listed(word: &str) -> bool {
    SORTED.binary_search(&word).is_ok()
}

/// Small and capital letters, and all ways to write them, are one.
pub(super) fn fold(text: &str) -> Zeroizing<String> {
    // What grows while it is written would leave a copy behind.
    let folded = text.nfkc().flat_map(char::to_lowercase);
    let mut kept = Zeroizing::new(String::with_capacity(
        folded.clone().map(char::len_utf8).sum(),
    ));
    kept.extend(folded);
    kept
}

/// The shortest text of which `text` is a repetition: itself, if it is none.
pub(super) fn repeated(text: &str) -> &str {
    let bytes = text.as_bytes();
    let mut lengths = text.char_indices().map(|(length, _)| length).skip(1);
    let shortest = lengths.find(|length| {
        bytes.len().is_multiple_of(*length) && bytes[*length..] == bytes[..bytes.len() - length]
    });
    shortest.map_or(text, |length| &text[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_folded_and_sorted() {
        assert!(SORTED.len() > 25_000);
        assert!(SORTED.is_sorted());
        for word in SORTED.iter() {
            assert_eq!(&**fold(word), *word);
        }
    }

    #[test]
    fn a_repetition_is_known_by_its_shortest_part() {
        for (text, part) in [
            ("aaaa", "a"),
            ("abab", "ab"),
            ("abaab", "abaab"),
            ("🦊é🦊é🦊é", "🦊é"),
            ("ab", "ab"),
            ("aaé", "aaé"),
            ("", ""),
        ] {
            assert_eq!(repeated(text), part);
        }
    }
}
